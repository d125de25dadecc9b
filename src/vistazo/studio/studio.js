"use strict";
// The language links lead back to the page they stand on.
document.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-back]");
  if (link) link.search = "?back=" + encodeURIComponent(location.pathname + location.search);
});
