// One video's card: its name, its lanes, and what a pointer does on them.

const GRIP = 6; // pixels from an end at which it is taken
const HEAD = 38,
  FOOT = 10;

function cardHeight(v, lanes) {
  return HEAD + bodyHeight(v, lanes) + FOOT;
}

function makeCard(v) {
  const video = report.videos[v];
  const card = element("article", { class: "card", id: `video-${v}`, "data-video": String(v) });
  const title = element(
    "h3",
    {},
    button("", () => selectVideo(v), { class: "plain name", title: video.id }),
  );
  title.firstChild.append(element("bdi", { text: video.id }));
  const zoom = element(
    "span",
    { class: "zoom" },
    button("−", () => zoomBy(v, 2), { "aria-label": "Show more time", title: "Show more time (-)" }),
    button("+", () => zoomBy(v, 0.5), {
      "aria-label": "Show less time",
      title: "Show less time (+, Ctrl and wheel)",
    }),
  );
  const meta = element("span", { class: "meta" });
  const link = video.link ? element("a", { href: `${video.link}${served()}`, text: "all segments" }) : null;
  const names = element("div", { class: "names" });
  const canvas = element("canvas", { "aria-hidden": "true" });
  const playhead = element("div", { class: "playhead", hidden: true });
  const field = element("div", { class: "field" }, canvas, playhead);
  card.append(
    element("header", {}, title, meta, link, zoom),
    element("div", { class: "lanes" }, names, field),
  );
  Object.assign(card, { video: v, canvas, field, playhead, names, meta, hovered: null });
  listenTo(card);
  return card;
}

function fillCard(card) {
  const v = card.video,
    lanes = lanesOf(v),
    video = report.videos[v];
  const { shown } = shownVideos();
  card.dataset.shown = String(shown[v]);
  card.classList.toggle("current", state.video === v);
  const length = video.lasting ? clock(video.duration, 0) : `${clock(video.duration, 0)} or more`;
  const truths = report.truth.first[v + 1] - report.truth.first[v];
  card.meta.replaceChildren(
    length,
    ` · ${number(shown[v])} found`,
    report.hasTruth ? ` · ${number(truths)} true` : "",
    ...report.runs.map((run) => {
      const held = run.first[v + 1] - run.first[v];
      return held < run.whole[v] ? ` · the best ${number(held)} of ${number(run.whole[v])}` : "";
    }),
    corrections.done.has(video.id) ? " · done" : "",
  );
  const height = laneHeight();
  const above = report.salience[video.id];
  card.names.replaceChildren(
    ...(above
      ? [element("div", { class: "lane-name quiet", text: "salience", style: { height: `${CURVE}px` } })]
      : []),
    ...lanes.map((lane) =>
      element("div", { class: "lane-name", style: { height: `${height}px` } }, named(lane.name)),
    ),
    ...(lanes.length
      ? []
      : [element("div", { class: "lane-name quiet", text: "nothing", style: { height: `${height}px` } })]),
  );
  const body = `${bodyHeight(v, lanes.length)}px`;
  card.canvas.style.height = body;
  redrawCard(card);
}

function redrawCard(card) {
  drawLanes(card.canvas, card.video, card.hovered);
  movePlayhead(card);
}

// What lies at a point of a card: {segment, end ("start", "end" or null), label, seconds}.
function hit(card, event) {
  const box = card.canvas.getBoundingClientRect();
  const x = event.clientX - box.left,
    y = event.clientY - box.top;
  const v = card.video,
    place = geometry(v, box.width),
    lanes = lanesOf(v);
  const index = Math.floor((y - place.above) / place.height);
  const lane = y >= place.above ? lanes[index] : undefined;
  const found = { segment: null, end: null, label: lane ? lane.name : null, seconds: place.seconds(x) };
  if (!lane) return found;
  const selected = state.selected && state.selected.video === v ? state.selected.key : null;
  let best = -Infinity;
  for (const segment of lane.segments) {
    const bar = boxOf(segment, index, place);
    const reach = segment.key === selected ? GRIP : 2;
    if (
      y < bar.y - GAP / 2 ||
      y > bar.y + bar.height + GAP / 2 ||
      x < bar.x - reach ||
      x > bar.x + bar.width + reach
    )
      continue;
    const rank = segment.key === selected ? Infinity : segment.score === null ? 2 : segment.score;
    if (rank < best) continue;
    best = rank;
    found.segment = segment;
    if (segment.key === selected) {
      const near = Math.min(GRIP, bar.width / 3);
      found.end = x < bar.x + near ? "start" : x > bar.x + bar.width - near ? "end" : null;
    } else found.end = null;
  }
  return found;
}

function listenTo(card) {
  const { canvas } = card;
  canvas.addEventListener("pointermove", (event) => {
    if (drag) return moveDrag(event);
    const at = hit(card, event);
    const key = at.segment ? at.segment.key : null;
    canvas.style.cursor = at.end
      ? "ew-resize"
      : at.segment
        ? "pointer"
        : event.shiftKey && at.label !== null
          ? "crosshair"
          : "default";
    if (key !== card.hovered) {
      card.hovered = key;
      drawLanes(canvas, card.video, key);
    }
    showTip(at.segment, event);
    return undefined;
  });
  canvas.addEventListener("pointerleave", () => {
    if (drag) return;
    showTip(null);
    card.hovered = null;
    drawLanes(canvas, card.video, null);
  });
  canvas.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    const at = hit(card, event);
    dragged = true;
    if (at.segment && at.end) beginDrag(card, at.segment, at.end, event);
    else if (event.shiftKey && at.label !== null) drawNew(card, at, event);
    else dragged = false;
  });
  // A finger that scrolls the list presses, too, but does not click.
  canvas.addEventListener("click", (event) => {
    if (dragged) return;
    const at = hit(card, event);
    selectSegment(card.video, at.segment ? at.segment.key : null);
    playFrom(card.video, at.segment ? at.segment.start : Math.max(0, at.seconds));
  });
  for (const end of ["pointerup", "pointercancel", "lostpointercapture"])
    canvas.addEventListener(end, endDrag);
  canvas.addEventListener(
    "wheel",
    (event) => {
      if (event.ctrlKey || event.metaKey) {
        event.preventDefault();
        const box = canvas.getBoundingClientRect();
        zoomBy(
          card.video,
          event.deltaY > 0 ? 1.25 : 0.8,
          geometry(card.video, box.width).seconds(event.clientX - box.left),
        );
      } else if (
        state.zoom.has(card.video) &&
        (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY))
      ) {
        event.preventDefault();
        const [start, end] = viewOf(card.video);
        setView(
          card.video,
          start + ((event.deltaX || event.deltaY) / canvas.clientWidth) * (end - start),
          end - start,
        );
      }
    },
    { passive: false },
  );
}

let drag = null;
let dragged = false; // whether the click that is to come ends a drag

function beginDrag(card, segment, end, event) {
  card.canvas.setPointerCapture(event.pointerId);
  drag = {
    card,
    key: segment.key,
    end,
    before: saidOf(card.video, segment.key),
    start: segment.start,
    stop: segment.end,
  };
}

function drawNew(card, at, event) {
  const v = card.video,
    start = Math.min(Math.max(0, at.seconds), durationOf(v));
  const key = addSegment(v, start, start, at.label);
  selectSegment(v, key);
  card.canvas.setPointerCapture(event.pointerId);
  drag = { card, key, end: "end", added: true, label: at.label, start, stop: start };
}

function moveDrag(event) {
  const { card, key } = drag,
    v = card.video;
  const box = card.canvas.getBoundingClientRect();
  const most = report.videos[v].lasting ? durationOf(v) : Infinity;
  const seconds = tidy(Math.min(Math.max(0, geometry(v, box.width).seconds(event.clientX - box.left)), most));
  if (drag.end === "start") drag.start = Math.min(seconds, drag.stop);
  else drag.stop = Math.max(seconds, drag.start);
  drag.moved = true;
  put({ video: report.videos[v].id, key }, { ...saidOf(v, key), start: drag.start, end: drag.stop });
  shownCache.segments.delete(v);
  drawLanes(card.canvas, v, null);
  showTip(segmentAt(v, key), event);
}

function endDrag() {
  if (!drag) return;
  const { card, key, before, added, moved, label } = drag,
    v = card.video;
  const { start, stop } = drag;
  drag = null;
  showTip(null);
  if (added) {
    corrections.past.pop(); // adding and drawing are one step
    put({ video: report.videos[v].id, key }, undefined);
    if (stop - start < 0.05) {
      selectSegment(v, null);
      saveEdits();
      tell("edits");
      return;
    }
    selectSegment(v, addSegment(v, start, stop, label));
    return;
  }
  put({ video: report.videos[v].id, key }, before);
  if (moved) correct(v, key, { start, end: stop });
  else tell("edits");
}

// Whole hundredths of a second: what a person can mean.
function tidy(seconds) {
  return Math.round(seconds * 100) / 100;
}

let tip = null;

function showTip(segment, event) {
  if (!tip) {
    tip = element("div", { id: "tip", role: "presentation", hidden: true });
    document.body.append(tip);
  }
  tip.hidden = !segment;
  if (!segment) return;
  tip.replaceChildren(
    element("strong", {}, element("bdi", { text: segment.name })),
    element("span", {
      text: `${range(segment.start, segment.end)}  (${(segment.end - segment.start).toFixed(1)} s)`,
    }),
    element("span", {
      text: [
        originInWords(segment),
        segment.score === null ? "" : `score ${score(segment.score)}`,
        segment.kind !== UNSCORED ? report.kinds[segment.kind] : "",
        segment.run === -1 && isMissed(segment.row) ? "missed" : "",
        stateInWords(segment),
      ]
        .filter(Boolean)
        .join(" · "),
    }),
  );
  const width = tip.offsetWidth,
    height = tip.offsetHeight;
  tip.style.left = `${Math.max(4, Math.min(event.clientX + 12, innerWidth - width - 8))}px`;
  tip.style.top = `${event.clientY + 16 + height > innerHeight ? event.clientY - height - 10 : event.clientY + 16}px`;
}
