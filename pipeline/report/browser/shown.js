// Which segments and videos the filters leave, and how the segments of a video lie in lanes.

// How many predictions of run r in video v reach the threshold: they lie best first.
function reaching(r, v) {
  const run = report.runs[r],
    threshold = Math.fround(state.threshold);
  let low = run.first[v],
    high = run.first[v + 1];
  const start = low;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (run.score[middle] >= threshold) low = middle + 1;
    else high = middle;
  }
  return low - start;
}

function textMatch() {
  const text = state.text.trim().toLowerCase();
  if (!text) return null;
  if (shownCache.text !== text) {
    shownCache.text = text;
    shownCache.labels = new Set();
    report.labels.forEach((label, index) => {
      if (label.toLowerCase().includes(text)) shownCache.labels.add(index);
    });
    shownCache.ids = report.videos.map((video) => video.id.toLowerCase().includes(text));
  }
  return shownCache;
}

const shownCache = { text: null, labels: null, ids: null, segments: new Map(), videos: null };

function forget() {
  shownCache.segments.clear();
  shownCache.videos = null;
}

// The labels whose lanes video v may have: all, or those that class filter and text leave.
function labelFilter(v) {
  const match = textMatch();
  const byText = match && !match.ids[v] ? match.labels : null;
  if (!state.classes && !byText) return null;
  return (label) => (!state.classes || state.classes.has(label)) && (!byText || byText.has(label));
}

// All segments of a video, as corrected: {key, run (-1 true, -2 added), label (number), name, start, end, score,
// kind, state, changed}.
function everySegment(v) {
  const found = [];
  const { truth } = report;
  const said = corrections.of.get(report.videos[v].id);
  for (let i = truth.first[v]; i < truth.first[v + 1]; i++) {
    found.push(
      corrected(said, {
        key: `t${i - truth.first[v]}`,
        run: -1,
        label: truth.label[i],
        start: truth.start[i],
        end: truth.end[i],
        score: null,
        kind: UNSCORED,
        row: i,
      }),
    );
  }
  report.runs.forEach((run, r) => {
    for (let i = run.first[v]; i < run.first[v + 1]; i++) {
      found.push(
        corrected(said, {
          key: `p${r}.${i - run.first[v]}`,
          run: r,
          label: run.label[i],
          start: run.start[i] / 1000,
          end: (run.start[i] + run.length[i]) / 1000,
          score: run.score[i],
          kind: run.kind ? run.kind[i] : UNSCORED,
        }),
      );
    }
  });
  if (said) {
    for (const [key, what] of said) {
      if (key[0] === "a")
        found.push(
          corrected(said, {
            key,
            run: -2,
            label: -1,
            start: what.start,
            end: what.end,
            score: null,
            kind: UNSCORED,
          }),
        );
    }
  }
  return found;
}

function corrected(said, segment) {
  const what = said && said.get(segment.key);
  segment.name = segment.label >= 0 ? report.labels[segment.label] : "";
  segment.state = "";
  segment.changed = false;
  segment.original = { start: segment.start, end: segment.end, name: segment.name };
  if (what) {
    segment.state = what.state || "";
    segment.changed =
      segment.run !== -2 && (what.start !== undefined || what.end !== undefined || what.label !== undefined);
    if (what.start !== undefined) segment.start = what.start;
    if (what.end !== undefined) segment.end = what.end;
    if (what.label !== undefined) {
      segment.name = what.label;
      segment.label = numberOf(what.label);
    }
  }
  return segment;
}

// The number of a label; one that a person has made up gets the next.
function numberOf(name) {
  if (!report.numbers) report.numbers = new Map(report.labels.map((label, index) => [label, index]));
  if (!report.numbers.has(name)) {
    report.numbers.set(name, report.labels.length);
    report.labels.push(name);
    shownCache.text = null;
  }
  return report.numbers.get(name);
}

// The segments of a video that are shown, by lane: [{label, name, segments}], lanes in the order of labels.
function lanesOf(v) {
  if (shownCache.segments.has(v)) return shownCache.segments.get(v);
  const passes = labelFilter(v),
    threshold = Math.fround(state.threshold);
  const lanes = new Map();
  for (const segment of everySegment(v)) {
    if (segment.run >= 0 && !state.runs[segment.run]) continue;
    if (segment.run >= 0 && segment.score < threshold && !segment.state && !segment.changed) continue;
    if (passes && !passes(segment.label)) continue;
    if (!lanes.has(segment.label)) lanes.set(segment.label, []);
    lanes.get(segment.label).push(segment);
  }
  const sorted = [...lanes.keys()]
    .sort((a, b) => a - b)
    .map((label) => ({ label, name: report.labels[label], segments: lanes.get(label) }));
  if (shownCache.segments.size > 400) shownCache.segments.clear();
  shownCache.segments.set(v, sorted);
  return sorted;
}

// The shown segments of a video by time.
function orderedSegments(v) {
  return lanesOf(v)
    .flatMap((lane) => lane.segments)
    .sort(
      (a, b) =>
        a.start - b.start || a.end - b.end || (b.score || 2) - (a.score || 2) || (a.key < b.key ? -1 : 1),
    );
}

const stamps = { at: new Uint32Array(0), turn: 0 };

// How many lanes a video has, and how many predictions of it are shown, without making objects of any.
function countsOf(v) {
  if (isCorrected(v)) {
    const lanes = lanesOf(v);
    return [
      lanes.length,
      lanes.reduce((sum, lane) => sum + lane.segments.filter((one) => one.run >= 0).length, 0),
    ];
  }
  if (stamps.at.length < report.labels.length) stamps.at = new Uint32Array(report.labels.length + 64);
  stamps.turn += 1;
  const passes = labelFilter(v),
    { truth } = report;
  let lanes = 0,
    count = 0;
  const see = (label) => {
    if (passes && !passes(label)) return false;
    if (stamps.at[label] !== stamps.turn) {
      stamps.at[label] = stamps.turn;
      lanes += 1;
    }
    return true;
  };
  for (let i = truth.first[v]; i < truth.first[v + 1]; i++) see(truth.label[i]);
  report.runs.forEach((run, r) => {
    if (!state.runs[r]) return;
    const start = run.first[v],
      end = start + reaching(r, v);
    for (let i = start; i < end; i++) if (see(run.label[i])) count += 1;
  });
  return [lanes, count];
}

// The videos that the filters leave, in their order: {order, lanes, count (of all), shown (by video)}.
function shownVideos() {
  if (shownCache.videos) return shownCache.videos;
  const order = [],
    lanes = new Uint32Array(report.videos.length),
    shown = new Uint32Array(report.videos.length);
  let count = 0;
  const match = textMatch();
  for (let v = 0; v < report.videos.length; v++) {
    if (state.only !== undefined && state.only !== null && state.only !== v) continue;
    if (!keeps(v)) continue;
    [lanes[v], shown[v]] = countsOf(v);
    if (!lanes[v] && (state.classes || (match && !match.ids[v]))) continue;
    order.push(v);
    count += shown[v];
  }
  sortVideos(order, shown);
  shownCache.videos = { order, lanes, shown, count };
  return shownCache.videos;
}

function keeps(v) {
  switch (state.keep) {
    case "false alarms":
      return countFalse(v) > 0;
    case "misses":
      return countMissed(v) > 0;
    case "corrected":
      return isCorrected(v) || corrections.done.has(report.videos[v].id);
    case "open":
      return !corrections.done.has(report.videos[v].id);
    default:
      return true;
  }
}

function countFalse(v) {
  let count = 0;
  report.runs.forEach((run, r) => {
    if (!run.kind || !state.runs[r]) return;
    const end = run.first[v] + reaching(r, v);
    for (let i = run.first[v]; i < end; i++)
      if (run.kind[i] !== TRUE_POSITIVE && run.kind[i] !== UNSCORED) count += 1;
  });
  return count;
}

// Whether a run that is shown has nothing from the slider's score on that hits a true segment.
function isMissed(row) {
  const threshold = Math.fround(state.threshold);
  return report.runs.some((run, r) => state.runs[r] && run.found && !(run.found[row] >= threshold));
}

function countMissed(v) {
  let count = 0;
  for (let i = report.truth.first[v]; i < report.truth.first[v + 1]; i++) {
    if (isMissed(i)) count += 1;
  }
  return count;
}

function sortVideos(order, shown) {
  const by = {
    "false alarms": countFalse,
    misses: countMissed,
    segments: (v) => shown[v],
    length: durationOf,
    // Where the best scores lie next to the threshold the detector is least sure: the first to look at.
    unsure: (v) =>
      -Math.min(
        ...report.runs.map((run) =>
          run.first[v + 1] > run.first[v] ? Math.abs(run.score[run.first[v]] - state.threshold) : Infinity,
        ),
      ),
  }[state.sort];
  if (!by) return;
  const value = new Map(order.map((v) => [v, by(v)]));
  order.sort((a, b) => value.get(b) - value.get(a) || a - b);
}

function segmentAt(v, key) {
  return everySegment(v).find((segment) => segment.key === key) || null;
}

function stateInWords(segment) {
  const words = [];
  if (segment.run === -2) words.push("added");
  else if (segment.state) words.push(segment.state);
  if (segment.changed) words.push("changed");
  return words.join(", ");
}

function originInWords(segment) {
  if (segment.run === -1) return "true";
  if (segment.run === -2) return "added";
  return report.runs.length > 1 ? report.runs[segment.run].name : "predicted";
}
