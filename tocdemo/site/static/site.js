// A page that was opened as a file cannot fetch the others: then a search shows titles, without extracts.
if (location.protocol === "file:") DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;
