// The list of videos: only the cards that can be seen exist.

const list = { box: null, sheet: null, cards: new Map(), tops: new Float64Array(1), order: [] };
const BEYOND = 400; // pixels above and below what is seen

function makeList() {
  list.sheet = element("div", { class: "sheet" });
  list.box = element(
    "div",
    {
      class: "list",
      id: "list",
      tabindex: "0",
      role: "region",
      "aria-label": "Timelines",
      "aria-describedby": "keys-hint",
    },
    list.sheet,
  );
  list.box.addEventListener("scroll", later(placeCards), { passive: true });
  new ResizeObserver(
    later(() => {
      for (const card of list.cards.values()) redrawCard(card);
      placeCards();
    }),
  ).observe(list.box);
  when("filters edits", () => layOut());
  when("duration", () => layOut());
  when(
    "selection zoom theme",
    later(() => {
      for (const card of list.cards.values()) fillCard(card);
    }),
  );
  return list.box;
}

// Lay the cards out anew; the video at the top of what is seen stays there.
function layOut() {
  const before = list.box.scrollTop,
    at = indexAt(before),
    anchor = list.order[at];
  const above = anchor === undefined ? 0 : before - list.tops[at];
  forget();
  const shown = shownVideos();
  list.order = shown.order;
  list.tops = new Float64Array(shown.order.length + 1);
  shown.order.forEach((v, i) => {
    list.tops[i + 1] = list.tops[i] + cardHeight(v, shown.lanes[v]);
  });
  list.sheet.style.height = `${list.tops[shown.order.length]}px`;
  const place = shown.order.indexOf(anchor);
  if (place >= 0) {
    const top = list.tops[place] + Math.min(above, list.tops[place + 1] - list.tops[place] - 1);
    if (top !== before) list.box.scrollTop = top;
  }
  for (const card of list.cards.values()) card.stale = !(drag && drag.card === card);
  placeCards();
  showCounts(shown);
}

function indexAt(y) {
  let low = 0,
    high = list.order.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (list.tops[middle + 1] <= y) low = middle + 1;
    else high = middle;
  }
  return low;
}

function placeCards() {
  const top = list.box.scrollTop,
    height = list.box.clientHeight;
  const wanted = new Map();
  for (
    let i = indexAt(Math.max(0, top - BEYOND));
    i < list.order.length && list.tops[i] < top + height + BEYOND;
    i++
  ) {
    wanted.set(list.order[i], i);
  }
  for (const [v, card] of list.cards) {
    if (!wanted.has(v)) {
      card.remove();
      list.cards.delete(v);
    }
  }
  let next = list.sheet.firstChild; // in the order in which they are read
  for (const [v, i] of wanted) {
    let card = list.cards.get(v);
    const isNew = !card;
    if (isNew) {
      card = makeCard(v);
      list.cards.set(v, card);
    }
    if (card === next) next = next.nextSibling;
    else list.sheet.insertBefore(card, next);
    card.style.transform = `translateY(${list.tops[i]}px)`;
    if (isNew || card.stale) {
      card.stale = false;
      fillCard(card);
    }
  }
}

function scrollTo(v) {
  const place = list.order.indexOf(v);
  if (place < 0) return;
  const top = list.tops[place],
    bottom = list.tops[place + 1];
  if (top < list.box.scrollTop) list.box.scrollTop = top;
  else if (bottom > list.box.scrollTop + list.box.clientHeight) {
    list.box.scrollTop = Math.min(top, bottom - list.box.clientHeight);
  }
  placeCards();
}

function showCounts(shown) {
  const all = report.videos.length;
  const videos =
    shown.order.length === all
      ? plural(all, "video")
      : `${number(shown.order.length)} of ${plural(all, "video")}`;
  document.getElementById("count").textContent = `${videos}, ${plural(shown.count, "segment")} found`;
}

function selectVideo(v) {
  if (v !== state.video) state.selected = null;
  state.video = v;
  scrollTo(v);
  tell("selection");
}

function selectSegment(v, key) {
  state.video = v;
  state.selected = key === null ? null : { video: v, key };
  tell("selection");
  const segment = key && segmentAt(v, key);
  if (segment) announce(inWords(segment));
}

function inWords(segment) {
  return [
    segment.name,
    `${clock(segment.start)} to ${clock(segment.end)}`,
    originInWords(segment),
    segment.score === null ? "" : `score ${score(segment.score)}`,
    segment.kind === UNSCORED ? "" : report.kinds[segment.kind],
    stateInWords(segment),
  ]
    .filter(Boolean)
    .join(", ");
}

// Go to a segment wherever it is: the filters give way where they hide it.
function goTo(v, key, play = true) {
  const segment = segmentAt(v, key);
  if (!segment) return;
  const hidden = segment.run >= 0 && segment.score < Math.fround(state.threshold) && !segment.state;
  const changes = { tab: "videos" };
  if (hidden) changes.threshold = segment.score;
  if (segment.run >= 0 && !state.runs[segment.run])
    changes.runs = state.runs.map((on, r) => on || r === segment.run);
  if (!shownVideos().order.includes(v) || (labelFilter(v) && !labelFilter(v)(segment.label))) {
    Object.assign(changes, { text: "", classes: null, keep: "all" });
  }
  choose(changes);
  tell("tab");
  const [start, end] = viewOf(v);
  if (segment.start < start || segment.end > end) state.zoom.delete(v);
  scrollTo(v);
  selectSegment(v, key);
  if (play) playFrom(v, segment.start);
  list.box.focus({ preventScroll: true });
}
