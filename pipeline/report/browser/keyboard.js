// Keys, while nobody writes into a field.

const KEYS = [
  ["← →", "previous, next segment"],
  ["↑ ↓", "previous, next video"],
  ["Enter", "play the segment"],
  ["Space", "play or pause"],
  ["A", "accept"],
  ["X", "reject"],
  ["[ ]", "start, end at the player's time"],
  [", .", "move by a tenth of a second"],
  ["N", "add a segment"],
  ["R", "change the class"],
  ["D", "video done"],
  ["+ −", "less, more time"],
  ["Ctrl+Z, Ctrl+Y", "undo, redo"],
  ["/", "search"],
  ["Esc", "let go"],
  ["?", "this list"],
];
const POINTER = [
  ["Click", "choose and play from there"],
  ["Drag an end", "of the chosen segment"],
  ["Shift and drag", "draw a new segment"],
  ["Ctrl and wheel", "less, more time"],
];

function makeKeysDialog() {
  const rows = (list) =>
    list.map(([key, text]) =>
      element(
        "tr",
        {},
        element("th", { scope: "row" }, element("kbd", { text: key })),
        element("td", { text }),
      ),
    );
  const dialog = element(
    "dialog",
    { id: "keys-dialog", "aria-labelledby": "keys-title" },
    element("h2", { id: "keys-title", text: "Keys" }),
    element("table", { class: "keys" }, element("tbody", {}, rows(KEYS), rows(POINTER))),
    element(
      "p",
      { class: "acts" },
      button("Close", () => dialog.close()),
    ),
  );
  return dialog;
}

function moveSegment(by) {
  const v = state.video,
    ordered = orderedSegments(v);
  if (!ordered.length) return;
  const now =
    state.selected && state.selected.video === v
      ? ordered.findIndex((segment) => segment.key === state.selected.key)
      : -1;
  const next = now < 0 ? (by > 0 ? 0 : ordered.length - 1) : now + by;
  if (next < 0 || next >= ordered.length) return moveVideo(by, by < 0);
  const segment = ordered[next];
  const [start, end] = viewOf(v);
  if (segment.end < start || segment.start > end) setView(v, segment.start - (end - start) / 2, end - start);
  scrollTo(v);
  selectSegment(v, segment.key);
  return undefined;
}

function moveVideo(by, last = false) {
  const { order } = shownVideos(),
    next = order.indexOf(state.video) + by;
  if (next < 0 || next >= order.length) return;
  const v = order[next];
  selectVideo(v);
  announce(report.videos[v].id);
  if (last) moveSegment(-1);
}

const ACTIONS = {
  ArrowRight: () => moveSegment(1),
  ArrowLeft: () => moveSegment(-1),
  ArrowDown: () => moveVideo(1),
  ArrowUp: () => moveVideo(-1),
  Enter: () => {
    if (!state.selected) return;
    const segment = segmentAt(state.selected.video, state.selected.key);
    if (segment) playFrom(state.selected.video, segment.start);
  },
  " ": () => {
    if (player.node.paused) player.node.play().catch(() => {});
    else player.node.pause();
  },
  a: () => decide("accepted"),
  x: () => decide("rejected"),
  Delete: () => decide("rejected"),
  "[": () => setEndHere("start"),
  "]": () => setEndHere("end"),
  ",": () => nudge(-0.1),
  ".": () => nudge(0.1),
  n: () => addHere(state.video),
  r: () => {
    const field = document.getElementById("segment-label");
    if (field) field.select();
  },
  d: () => setDone(state.video, !corrections.done.has(report.videos[state.video].id)),
  "+": () => zoomBy(state.video, 0.5, middleOfSelected()),
  "=": () => zoomBy(state.video, 0.5, middleOfSelected()),
  "-": () => zoomBy(state.video, 2),
  "/": () => document.getElementById("search").focus(),
  "?": () => document.getElementById("keys-dialog").showModal(),
  Escape: () => selectSegment(state.video, null),
};

function middleOfSelected() {
  const segment = chosenSegment();
  return segment ? (segment.start + segment.end) / 2 : undefined;
}

function listenToKeys() {
  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || document.querySelector("dialog[open]")) return;
    const target = event.target;
    if (target.matches("input:not([type=checkbox]):not([type=range]), select, textarea")) {
      if (event.key === "Escape") target.blur();
      return;
    }
    if ((event.ctrlKey || event.metaKey) && !event.altKey) {
      const key = event.key.toLowerCase();
      if (key === "z" && !event.shiftKey) undo();
      else if (key === "y" || (key === "z" && event.shiftKey)) redo();
      else return;
      event.preventDefault();
      return;
    }
    if (event.altKey || state.tab !== "videos" || !report.videos.length) return;
    if (target.matches("button, a, input, video, summary, [role=tab]") && [" ", "Enter"].includes(event.key))
      return;
    if (event.key.startsWith("Arrow") && target.closest("[role=tab], .filters-box, .inspector")) return;
    const action = ACTIONS[event.key] || ACTIONS[event.key.toLowerCase()];
    if (!action) return;
    event.preventDefault();
    action();
  });
}
