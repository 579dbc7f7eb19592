// The panel beside the lanes: the player, the chosen segment with everything that one can say of it, and a table.

const MOST_ROWS = 300;
const HINT = "Arrow keys move from segment to segment; Enter plays, A accepts, X rejects, ? shows all keys.";
const inspector = { form: null, table: null };

function makeInspector() {
  inspector.form = element("section", { class: "segment", "aria-label": "Chosen segment" });
  inspector.table = element("section", { class: "segments", "aria-label": "Segments of the chosen video" });
  when("selection edits", later(fillInspector));
  // Of a slider that moves only where it comes to rest.
  let waiting = 0;
  when("filters", () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => fillTable(state.video, chosenSegment()), 150);
  });
  return element(
    "aside",
    { class: "inspector", id: "inspector", "aria-label": "Player and segment" },
    makePlayer(),
    inspector.form,
    inspector.table,
  );
}

function fillInspector() {
  if (!report.videos.length) return;
  showVideo(state.video);
  const v = state.video,
    segment = chosenSegment();
  // Who writes into a field goes on writing: it is filled anew when left.
  if (!(inspector.form.contains(document.activeElement) && document.activeElement.matches("input"))) {
    inspector.form.replaceChildren(...(segment ? formOf(v, segment) : hintOf(v)));
  }
  fillTable(v, segment);
}

function chosenSegment() {
  return state.selected && state.selected.video === state.video
    ? segmentAt(state.video, state.selected.key)
    : null;
}

function hintOf(v) {
  return [
    element("p", { class: "quiet", text: HINT }),
    element(
      "p",
      {},
      button("Add segment", () => addHere(v), { title: "N" }),
    ),
  ];
}

function formOf(v, segment) {
  const { key } = segment;
  const said = saidOf(v, key) || {};
  const about = [
    originInWords(segment),
    segment.score === null ? "" : `score ${score(segment.score)}`,
    segment.kind === UNSCORED ? "" : report.kinds[segment.kind],
    stateInWords(segment),
  ]
    .filter(Boolean)
    .join(" · ");
  const label = element("input", {
    type: "text",
    id: "segment-label",
    list: "labels",
    value: segment.name,
    dir: "auto",
    autocomplete: "off",
    maxlength: "1000",
  });
  label.addEventListener("change", () => {
    const name = label.value.trim();
    if (name) relabel(v, key, name);
    else label.value = segment.name;
  });
  const times = ["start", "end"].map((end) => {
    const input = element("input", {
      type: "number",
      id: `segment-${end}`,
      step: "0.1",
      value: segment[end].toFixed(2),
    });
    input.addEventListener("change", () => {
      if (!setEnd(v, key, end, Number(input.value))) input.value = segmentAt(v, key)[end].toFixed(2);
    });
    return element(
      "div",
      { class: "time" },
      element("label", { for: input.id, text: end === "start" ? "Start (s)" : "End (s)" }),
      input,
      button("now", () => setEndHere(end), {
        title: `Take the player's time (${end === "start" ? "[" : "]"})`,
        "aria-label": `Take the player's time as ${end}`,
      }),
    );
  });
  return [
    element("p", { class: "about", text: about }),
    element("div", { class: "label" }, element("label", { for: "segment-label", text: "Class" }), label),
    element("div", { class: "times" }, times),
    element(
      "div",
      { class: "acts" },
      button("Play", () => playFrom(v, segmentAt(v, key).start), { title: "Enter" }),
      segment.run === -2
        ? button(
            "Remove",
            () => {
              state.selected = null;
              correct(v, key, null);
              tell("selection");
            },
            { title: "X" },
          )
        : [
            button("Accept", () => decide("accepted"), {
              title: "A",
              "aria-pressed": String(segment.state === "accepted"),
              id: "accept",
            }),
            button("Reject", () => decide("rejected"), {
              title: "X",
              "aria-pressed": String(segment.state === "rejected"),
              id: "reject",
            }),
            button("As it was", () => correct(v, key, null), { disabled: !Object.keys(said).length }),
          ],
      button("Add segment", () => addHere(v), { title: "N" }),
    ),
  ];
}

function relabel(v, key, name) {
  const segment = segmentAt(v, key);
  if (!segment || segment.name === name) return;
  correct(v, key, { label: segment.run !== -2 && name === segment.original.name ? undefined : name });
}

// Whether an end could be put there: the start lies before the end, and both in the video.
function setEnd(v, key, end, seconds) {
  const segment = segmentAt(v, key);
  if (!segment || !Number.isFinite(seconds)) return false;
  const start = end === "start" ? seconds : segment.start,
    stop = end === "end" ? seconds : segment.end;
  if (start < 0 || stop <= start) {
    notify("A segment starts at 0 or later and ends after its start.");
    return false;
  }
  if (segment[end].toFixed(2) !== seconds.toFixed(2)) correct(v, key, { start, end: stop });
  return true;
}

function setEndHere(end) {
  const time = playerTime();
  if (time === null) return notify("The player has no video whose time could be taken.");
  if (state.selected) setEnd(state.selected.video, state.selected.key, end, tidy(time));
  return undefined;
}

function nudge(seconds) {
  if (!state.selected) return;
  const { video, key } = state.selected,
    segment = segmentAt(video, key);
  if (segment && segment.start + seconds >= 0)
    correct(video, key, { start: tidy(segment.start + seconds), end: tidy(segment.end + seconds) });
}

function decide(what) {
  if (!state.selected) return;
  const { video, key } = state.selected,
    segment = segmentAt(video, key);
  if (!segment) return;
  if (segment.run === -2) {
    if (what === "rejected") {
      state.selected = null;
      correct(video, key, null);
      tell("selection");
    }
    return;
  }
  correct(video, key, { state: segment.state === what ? undefined : what });
  announce(segment.state === what ? "undecided" : what);
}

// A segment of five seconds at the player's time, or in the middle of what is seen.
function addHere(v) {
  const [start, end] = viewOf(v),
    length = Math.min(5, (end - start) / 4);
  const time = playerTime();
  const from = tidy(
    Math.min(time === null ? (start + end - length) / 2 : time, Math.max(0, durationOf(v) - length)),
  );
  const near = state.selected && state.selected.video === v ? segmentAt(v, state.selected.key) : null;
  const lanes = lanesOf(v);
  const name = near ? near.name : lanes.length ? lanes[0].name : report.labels[0] || "action";
  selectSegment(v, addSegment(v, from, tidy(from + length), name));
  inspector.form.replaceChildren(...formOf(v, segmentAt(v, state.selected.key)));
  const field = document.getElementById("segment-label");
  if (field) field.select();
}

function fillTable(v, segment) {
  const rows = orderedSegments(v),
    id = report.videos[v].id;
  const most = rows.slice(0, MOST_ROWS);
  const done = element("input", {
    type: "checkbox",
    id: "done",
    checked: corrections.done.has(id),
    onchange: (event) => setDone(v, event.target.checked),
  });
  inspector.table.replaceChildren(
    element("h3", {}, named(id)),
    element(
      "p",
      { class: "done" },
      done,
      element("label", { for: "done", text: "Done: every action of this video is right now" }),
    ),
    element(
      "table",
      {},
      element("caption", { class: "unseen", text: `Segments of ${id}, by time` }),
      element(
        "thead",
        {},
        element(
          "tr",
          {},
          ["Time", "Class", "Score", "Decision"].map((text) =>
            element("th", { scope: "col", text, class: text === "Score" ? "number" : null }),
          ),
        ),
      ),
      element(
        "tbody",
        {},
        most.map((row) =>
          element(
            "tr",
            {
              "aria-current": row === segment || (segment && row.key === segment.key) ? "true" : null,
              "data-key": row.key,
            },
            element(
              "td",
              {},
              button(range(row.start, row.end), () => goTo(v, row.key), { class: "plain" }),
            ),
            element("td", {}, named(row.name)),
            element("td", { class: "number", text: row.run === -1 ? "true" : score(row.score) }),
            element("td", { text: stateInWords(row) }),
          ),
        ),
      ),
    ),
    rows.length > MOST_ROWS
      ? element("p", {
          class: "quiet",
          text: `and ${number(rows.length - MOST_ROWS)} more; a higher score shows fewer`,
        })
      : "",
  );
}

let noticeTimer = 0;

function notify(text) {
  const place = document.getElementById("notice");
  place.textContent = text;
  place.hidden = false;
  clearTimeout(noticeTimer);
  noticeTimer = setTimeout(() => {
    place.hidden = true;
  }, 6000);
}
