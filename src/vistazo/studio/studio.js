"use strict";
// NiceGUI's own messages, in the language of the page.
for (const [name, words] of Object.entries(vistazo.popups)) {
  const places = document.querySelectorAll(`#${name} > span`);
  words.forEach((text, at) => { if (places[at]) places[at].textContent = text; });
}
// The language links lead back to the page they stand on.
document.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-back]");
  if (link) link.search = "?back=" + encodeURIComponent(location.pathname + location.search);
});

// Files that are dropped or chosen are sent one by one; the page's own element hears how far it is, and when all is there.
const studio = {
  async entries(entry, path, found) {
    const name = path + entry.name;
    if (entry.isFile) {
      found.push([name, await new Promise((done, failed) => entry.file(done, failed))]);
    } else {
      const reader = entry.createReader();
      for (;;) {
        const some = await new Promise((done, failed) => reader.readEntries(done, failed));
        if (!some.length) break;
        for (const one of some) if (!one.name.startsWith(".")) await studio.entries(one, name + "/", found);
      }
    }
    return found;
  },
  async send(place, files) {
    const tell = (detail) => place.dispatchEvent(new CustomEvent("sent", { detail }));
    if (!files.length) return;
    try {
      const { id, error } = await (await fetch("/upload", { method: "POST" })).json();
      if (!id) return tell({ error: error || "" });
      const all = files.reduce((sum, [, file]) => sum + file.size, 0);
      let sent = 0, told = 0;
      for (const [name, file] of files) {
        const answer = await fetch("/upload/" + id + "?path=" + encodeURIComponent(name), { method: "PUT", body: file });
        if (!answer.ok) return tell({ error: (await answer.json()).error || "" });
        sent += file.size;
        if (Date.now() - told > 700) { told = Date.now(); tell({ share: all ? sent / all : 1 }); }
      }
      tell({ id });
    } catch (error) {
      tell({ error: "" });
    }
  },
};
document.addEventListener("dragover", (event) => {
  const place = event.target.closest(".drop");
  if (place) { event.preventDefault(); place.classList.add("over"); }
});
document.addEventListener("dragleave", (event) => { event.target.closest?.(".drop")?.classList.remove("over"); });
document.addEventListener("drop", async (event) => {
  const place = event.target.closest(".drop");
  if (!place) return;
  event.preventDefault();
  place.classList.remove("over");
  const found = [];
  for (const entry of [...event.dataTransfer.items].map((one) => one.webkitGetAsEntry()).filter(Boolean)) {
    await studio.entries(entry, "", found);
  }
  studio.send(place, found);
});
document.addEventListener("change", (event) => {
  const place = event.target.closest(".drop");
  if (place && event.target.type === "file") {
    studio.send(place, [...event.target.files].map((file) => [file.webkitRelativePath || file.name, file]));
  }
});
