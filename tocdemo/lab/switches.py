"""The panel: a switch for each fault and one for the backend, and the grid of 28 that follows at once.

`lab.panel()` shows it in a notebook with ipywidgets. Without widgets `lab.combination` does the same by a
call. The runs are of throw-away copies, never the learner's workspace.
"""

import dataclasses
from typing import Any

import ipywidgets

from tocdemo.display.code import preformatted
from tocdemo.errors import CannotRun
from tocdemo.experiments import matrix
from tocdemo.runner import databases
from tocdemo.subject.changes import CHANGES

_LAYOUT = ipywidgets.Layout(width="24em")


class Panel(ipywidgets.VBox):
    """The switches, all at first as in the incident, and below them the run that belongs to them."""

    def __init__(self) -> None:
        self.switches = {name: _switch(name) for name in matrix.SWITCHES}
        self.backend = ipywidgets.Dropdown(options=databases.BACKENDS, description="backend")
        self.shown = ipywidgets.HTML()
        for widget in (*self.switches.values(), self.backend):
            widget.observe(self._changed, names="value")
        super().__init__([*self.switches.values(), self.backend, self.shown])
        self.refresh()

    @property
    def faults(self) -> list[str]:
        """The names of the faults that are in: those whose change is not made, or cannot be."""
        return [name for name, switch in self.switches.items() if switch.disabled or not switch.value]

    def refresh(self) -> None:
        """Run the 28 in the state of the switches, and show the grid."""
        try:
            run = matrix.combination([*matrix.HELD, *self.faults], self.backend.value)
            run = dataclasses.replace(run, title=self._title())
        except CannotRun as error:
            self.shown.value = preformatted(f"Not run: {error}")
            return
        self.shown.value = run._repr_mimebundle_()["text/html"]

    def _title(self) -> str:
        made = [CHANGES[name].name for name in self.switches if name not in self.faults]
        return " + ".join(made) or "no change"

    def _changed(self, change: dict[str, Any]) -> None:
        self.switches["unbound-client"].disabled = self.backend.value in matrix.NO_IO_LOOP
        self.refresh()


def _switch(name: str) -> ipywidgets.Checkbox:
    return ipywidgets.Checkbox(value=False, description=CHANGES[name].name, indent=False, layout=_LAYOUT)
