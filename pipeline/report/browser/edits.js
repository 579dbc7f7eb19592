// Corrections: what a person says of segments, step by step, kept in this browser by the digest of the predictions.
//
// A segment's key is t<number> (true), p<run>.<rank> (predicted; the rank in its video, best first) or a<number>
// (added). What is said of it: {state: "accepted" | "rejected" | undefined, start, end, label}; times in seconds,
// the label as text.

const corrections = {
  of: new Map(), // video id -> Map of key -> what is said
  done: new Set(), // ids of videos that a person has gone through
  past: [],
  future: [],
};

function editsKey() {
  return `corrections.${report.digest}`;
}

function loadEdits() {
  const stored = kept.read(editsKey());
  try {
    for (const [id, said] of Object.entries(stored.of)) corrections.of.set(id, new Map(Object.entries(said)));
    for (const id of stored.done) corrections.done.add(id);
  } catch {
    corrections.of.clear(); // nothing is kept, or what is there is not ours
    corrections.done.clear();
  }
}

function saveEdits() {
  const of = Object.fromEntries(
    [...corrections.of].filter(([, said]) => said.size).map(([id, said]) => [id, Object.fromEntries(said)]),
  );
  if (!kept.write(editsKey(), { of, done: [...corrections.done] })) {
    notify("This browser keeps nothing for this page: export before you close it.");
  }
}

function saidOf(v, key) {
  const said = corrections.of.get(report.videos[v].id);
  return said ? said.get(key) : undefined;
}

function put({ video, key, done }, value) {
  if (done) {
    if (value) corrections.done.add(video);
    else corrections.done.delete(video);
    return;
  }
  if (!corrections.of.has(video)) corrections.of.set(video, new Map());
  const said = corrections.of.get(video);
  if (value) said.set(key, value);
  else said.delete(key);
}

function step(change, before, after) {
  if (JSON.stringify(before) === JSON.stringify(after)) return;
  corrections.past.push({ change, before, after });
  corrections.future.length = 0;
  put(change, after);
  saveEdits();
  tell("edits");
}

// Say something of a segment: the changes go over what was said before; an empty object says nothing any more.
function correct(v, key, changes) {
  const before = saidOf(v, key);
  const after = changes === null ? undefined : { ...before, ...changes };
  const says = after && Object.values(after).some((value) => value !== undefined);
  step({ video: report.videos[v].id, key }, before, says ? JSON.parse(JSON.stringify(after)) : undefined);
}

function addSegment(v, start, end, label) {
  const said = corrections.of.get(report.videos[v].id) || new Map();
  let place = 0;
  while (said.has(`a${place}`)) place += 1;
  const key = `a${place}`;
  correct(v, key, { state: "accepted", start, end, label });
  return key;
}

function setDone(v, done) {
  const id = report.videos[v].id;
  step({ video: id, done: true }, corrections.done.has(id), done);
}

function undo() {
  const last = corrections.past.pop();
  if (!last) return;
  corrections.future.push(last);
  put(last.change, last.before);
  settled(last, "undone");
}

function redo() {
  const next = corrections.future.pop();
  if (!next) return;
  corrections.past.push(next);
  put(next.change, next.after);
  settled(next, "redone");
}

function settled({ change }, what) {
  saveEdits();
  const v = report.position.get(change.video);
  if (v !== undefined) state.video = v;
  tell("edits");
  tell("selection");
  announce(what);
}

function isCorrected(v) {
  const said = corrections.of.get(report.videos[v].id);
  return Boolean(said && said.size);
}

function countCorrections() {
  let count = 0;
  for (const said of corrections.of.values()) count += said.size;
  return count;
}
