// The page as a whole: its head, its filters, its two tabs.

function makeHead(openExport) {
  const tabs = [
    ["overview", "Overview"],
    ["videos", "Videos"],
  ].filter(([key]) => key === "videos" || report.hasTruth);
  const tablist = element(
    "div",
    { role: "tablist", "aria-label": "Views" },
    tabs.map(([key, text]) =>
      button(text, () => choose({ tab: key }, "tab"), {
        role: "tab",
        id: `tab-${key}`,
        "aria-controls": `panel-${key}`,
      }),
    ),
  );
  tablist.addEventListener("keydown", (event) => {
    if (!["ArrowLeft", "ArrowRight"].includes(event.key)) return;
    const buttons = [...tablist.children],
      next = buttons[(buttons.indexOf(document.activeElement) + 1) % buttons.length];
    next.focus();
    next.click();
  });
  const back = button("Undo", undo, { id: "undo", title: "Ctrl+Z" }),
    forth = button("Redo", redo, { id: "redo", title: "Ctrl+Y" });
  const saveButton = button("Export", openExport, { id: "export" });
  const theme = button("", () => setTheme(currentTheme() === "dark" ? "light" : "dark"), { id: "theme" });
  const showTheme = () => {
    theme.textContent = currentTheme() === "dark" ? "Light" : "Dark";
  };
  const showEdits = () => {
    const count = countCorrections();
    back.disabled = !corrections.past.length;
    forth.disabled = !corrections.future.length;
    saveButton.textContent = count ? `Export (${number(count)})` : "Export";
  };
  when("theme", showTheme);
  when("edits", showEdits);
  showTheme();
  showEdits();
  return element(
    "header",
    { class: "head" },
    element("h1", {}, named(report.title)),
    report.back
      ? element("a", {
          href: `${report.back}${served()}#video=${encodeURIComponent(report.videos[0].id)}`,
          text: "All videos",
        })
      : "",
    tablist,
    element(
      "div",
      { class: "acts" },
      back,
      forth,
      saveButton,
      theme,
      button("Keys", () => document.getElementById("keys-dialog").showModal(), { id: "keys" }),
    ),
  );
}

function showTab() {
  for (const tab of document.querySelectorAll("[role=tab]")) {
    const on = tab.id === `tab-${state.tab}`;
    tab.setAttribute("aria-selected", String(on));
    tab.tabIndex = on ? 0 : -1;
  }
  for (const key of ["overview", "videos"]) {
    const panel = document.getElementById(`panel-${key}`);
    if (panel) panel.hidden = key !== state.tab;
  }
  if (state.tab === "videos") layOut();
}

function legendOfLanes() {
  const rows = [
    report.hasTruth ? "true" : "",
    ...report.runs.map((run) => (report.runs.length > 1 ? run.name : "found")),
  ].filter(Boolean);
  return element(
    "p",
    { class: "quiet key-line" },
    report.hasTruth
      ? element("span", {}, element("span", { class: "key-truth", "aria-hidden": "true" }), " true")
      : "",
    element(
      "span",
      {},
      element("span", { class: "key-found", "aria-hidden": "true" }),
      report.runs.length > 1 ? " found, a row for each run; fuller is surer" : " found; fuller is surer",
    ),
    rows.length > 2
      ? element(
          "span",
          {},
          "rows from above: ",
          rows.flatMap((name, i) => [i ? ", " : "", named(name)]),
        )
      : "",
  );
}

async function start() {
  followTheme();
  report = await readReport();
  state.threshold = report.threshold.value;
  state.runs = report.runs.map(() => true);
  state.tab = report.hasTruth ? "overview" : "videos";
  loadEdits();
  readPaint();
  when("theme", readPaint);
  DARK_SYSTEM.addEventListener("change", () => {
    followTheme();
    tell("theme");
  });
  const asked = new URLSearchParams(location.hash.slice(1)).get("video");
  const wanted = report.position.get(asked);
  if (wanted !== undefined) Object.assign(state, { tab: "videos", video: wanted });
  const exportDialog = makeExportDialog();
  const filters = element(
    "details",
    { class: "filters-box", open: innerWidth > 720 },
    element("summary", { text: "Filters" }),
    makeFilters(),
  );
  const middle = element(
    "div",
    { class: "middle" },
    element("h2", { class: "unseen", text: "Timelines" }),
    element("p", { class: "unseen", id: "keys-hint", text: HINT }),
    element("div", { class: "status" }, element("p", { id: "count", role: "status" }), legendOfLanes()),
    report.notes.map((note) => element("p", { class: "note", text: note })),
    makeList(),
  );
  document.getElementById("app").replaceWith(
    makeHead(exportDialog.open),
    element(
      "main",
      {},
      report.hasTruth
        ? element(
            "div",
            { role: "tabpanel", id: "panel-overview", "aria-labelledby": "tab-overview" },
            makeOverview(),
          )
        : "",
      element(
        "div",
        { role: "tabpanel", id: "panel-videos", class: "videos", "aria-labelledby": "tab-videos" },
        filters,
        middle,
        makeInspector(),
      ),
    ),
    exportDialog.dialog,
    makeKeysDialog(),
    element(
      "datalist",
      { id: "labels" },
      report.labels.slice(0, MOST_CLASSES).map((name) => element("option", { value: name })),
    ),
    element("p", { id: "said", class: "unseen", "aria-live": "polite" }),
    element("p", { id: "notice", role: "alert", hidden: true }),
  );
  when("tab", showTab);
  listenToKeys();
  if (wanted === undefined) state.video = shownVideos().order[0] || 0;
  showTab();
  if (wanted !== undefined) scrollTo(wanted);
  fillInspector();
  document.documentElement.dataset.ready = "true";
}

start().catch((error) => {
  console.error(error);
  document.getElementById("app").textContent =
    `This report cannot be shown: ${error.message}. It needs a browser of 2023 or newer.`;
});
