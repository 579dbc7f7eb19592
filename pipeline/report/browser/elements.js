// Elements and texts. Texts become text nodes only, so that a name is never markup.

function element(tag, properties = {}, ...children) {
  return filled(document.createElement(tag), properties, children);
}

function drawn(tag, properties = {}, ...children) {
  return filled(document.createElementNS("http://www.w3.org/2000/svg", tag), properties, children);
}

function filled(node, properties, children) {
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "text") node.textContent = value;
    else if (name === "style")
      for (const [key, one] of Object.entries(value)) node.style.setProperty(key, one);
    else if (name in node && !(node instanceof SVGElement) && typeof value !== "string") node[name] = value;
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

// A name that somebody gave: in its own direction, whatever stands around it.
function named(text, properties = {}) {
  return element("bdi", { text, title: text, ...properties });
}

function button(text, action, properties = {}) {
  return element("button", { type: "button", onclick: action, ...properties }, text);
}

function select(options, value, change, properties = {}) {
  const node = element(
    "select",
    { onchange: () => change(node.value), ...properties },
    options.map(([key, text]) => element("option", { value: key, text, selected: key === value })),
  );
  return node;
}

// A shortened name for charts, where there is no ellipsis: by characters, not by halves of them.
function shortened(text, most) {
  const letters = Array.from(text);
  return letters.length > most ? letters.slice(0, most - 1).join("") + "…" : text;
}

function clock(seconds, digits = 1) {
  const sign = seconds < 0 ? "−" : "";
  const scale = 10 ** digits;
  const units = Math.round(Math.abs(seconds) * scale);
  const whole = Math.floor(units / scale);
  const hours = Math.floor(whole / 3600),
    minutes = Math.floor(whole / 60) % 60;
  const tail =
    String(whole % 60).padStart(2, "0") + (digits ? "." + String(units % scale).padStart(digits, "0") : "");
  return sign + (hours ? `${hours}:${String(minutes).padStart(2, "0")}:${tail}` : `${minutes}:${tail}`);
}

function range(start, end) {
  return `${clock(start)} – ${clock(end)}`;
}

function number(value) {
  return Math.round(value).toLocaleString("en-GB");
}

function percent(fraction) {
  return fraction === null || fraction === undefined ? "–" : (100 * fraction).toFixed(1);
}

function score(value) {
  return value === null || value === undefined ? "–" : value.toPrecision(3);
}

function plural(count, one, many) {
  return `${number(count)} ${count === 1 ? one : many || one + "s"}`;
}

// What screen readers say of what has changed.
function announce(text) {
  const place = document.getElementById("said");
  if (place) place.textContent = text;
}

function later(action) {
  let waiting = false;
  return () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      action();
    });
  };
}
