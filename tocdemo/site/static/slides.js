// The keys of a presenter lead from slide to slide. Without a script, the page scrolls from one to the next.
addEventListener("keydown", event => {
  const step = {ArrowRight: 1, PageDown: 1, ArrowLeft: -1, PageUp: -1}[event.key];
  if (!step || event.target.closest(".picture")) return;
  const slides = [...document.querySelectorAll("section")];
  const here = slides.findIndex(it => it.getBoundingClientRect().bottom > innerHeight / 2);
  slides[here + step]?.scrollIntoView();
  event.preventDefault();
});
