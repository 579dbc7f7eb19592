// What is chosen, and who wants to know when that changes.

let report = null;

const state = {
  tab: "videos",
  threshold: 0,
  text: "",
  classes: null, // a Set of labels' numbers; null is all of them
  keep: "all",
  sort: "id",
  runs: [],
  marked: false,
  video: 0,
  selected: null, // {video, key}
  zoom: new Map(), // video -> [start, end] in seconds
};

const listeners = new Map();

function when(what, action) {
  for (const name of what.split(" ")) {
    if (!listeners.has(name)) listeners.set(name, []);
    listeners.get(name).push(action);
  }
}

// "filters", "edits", "selection", "theme", "zoom", "tab", "duration"
function tell(what) {
  for (const action of listeners.get(what) || []) action();
}

function choose(changes, what = "filters") {
  Object.assign(state, changes);
  tell(what);
}

const kept = {
  read(key) {
    try {
      return JSON.parse(localStorage.getItem(`raytad.${key}`));
    } catch {
      return null;
    }
  },
  write(key, value) {
    try {
      localStorage.setItem(`raytad.${key}`, JSON.stringify(value));
      return true;
    } catch {
      return false;
    }
  },
};

const DARK_SYSTEM = matchMedia("(prefers-color-scheme: dark)");

// The theme that was chosen here, else the system's; the style sheet goes by what stands on the root.
function followTheme() {
  const chosen = kept.read("theme");
  const system = DARK_SYSTEM.matches ? "dark" : "light";
  document.documentElement.dataset.theme = ["dark", "light"].includes(chosen) ? chosen : system;
}

function currentTheme() {
  return document.documentElement.dataset.theme;
}

function setTheme(theme) {
  document.documentElement.dataset.theme = theme;
  kept.write("theme", theme);
  tell("theme");
}

function durationOf(v) {
  return report.videos[v].duration || 1;
}

// The part of a video that its lanes show.
function viewOf(v) {
  return state.zoom.get(v) || [0, durationOf(v)];
}

function zoomBy(v, factor, centre) {
  const [start, end] = viewOf(v),
    whole = durationOf(v);
  const middle = centre === undefined ? (start + end) / 2 : centre;
  const length = Math.min(whole, Math.max(Math.min(2, whole), (end - start) * factor));
  const share = (middle - start) / (end - start);
  setView(v, middle - share * length, length);
}

function setView(v, start, length) {
  const whole = durationOf(v);
  if (length >= whole * 0.999) state.zoom.delete(v);
  else {
    const first = Math.min(Math.max(0, start), whole - length);
    state.zoom.set(v, [first, first + length]);
  }
  tell("zoom");
}
