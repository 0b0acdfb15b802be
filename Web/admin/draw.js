// Elements, tables, dialogs and charts. Text is always set as text: nothing a caller names itself becomes markup.

/** An element: attributes by name, `on…` as listeners, children as nodes or text. */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else element.setAttribute(name, value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

const svg = (tag, attributes, ...children) => {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
};

export const clock = (text) => text ? new Date(text).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit" }) : "–";
export const moment = (text) => text ? new Date(text).toLocaleString([], { dateStyle: "medium", timeStyle: "short" }) : "–";
export const span = (seconds) => {
  if (seconds === null || seconds === undefined) return "–";
  const whole = Math.round(seconds);
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const two = (number) => String(number).padStart(2, "0");
  return hours ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`;
};
export const size = (bytes) => bytes > 1 << 30 ? `${(bytes / (1 << 30)).toFixed(1)} GiB` : `${(bytes / (1 << 20)).toFixed(1)} MiB`;
export const words = (text) => (text ?? "–").replaceAll("_", " ");
export const number = (party) => party ? party.name ? `${party.name} (${party.raw})` : party.raw : "–";

/** A table with a caption for those who cannot see it. `columns`: `[heading, (row) => cell]`. */
export function table(caption, columns, rows, none = "Nothing here yet.") {
  if (!rows.length) return h("p", { class: "muted" }, none);
  return h("div", { class: "scroll" }, h("table", {},
    h("caption", { class: "unseen" }, caption),
    h("thead", {}, h("tr", {}, columns.map(([heading]) => h("th", { scope: "col" }, heading)))),
    h("tbody", {}, rows.map((row) => h("tr", row.id ? { "data-id": row.id } : {}, columns.map(([heading, cell]) => h("td", { "data-label": heading }, cell(row))))))));
}

export const pill = (text, kind = "") => h("span", { class: `pill ${kind}` }, text);
export const button = (text, act, kind = "", more = {}) => h("button", { type: "button", class: kind, onclick: act, ...more }, text);
export const card = (title, ...children) => h("section", { class: "card" }, h("h2", {}, title), ...children);

/** A labelled field; `wrong` shows under it what the agent said. */
export function field(label, name, attributes = {}, hint = "") {
  return h("label", { class: "field" }, label,
    attributes.options
      ? h("select", { name }, attributes.options.map(([value, text]) => h("option", { value, selected: value === attributes.value }, text ?? value)))
      : h("input", { name, ...attributes }),
    hint && h("small", {}, hint), h("small", { class: "wrong", "data-wrong": name, role: "alert" }));
}

/** A form that shows the agent's refusal where it belongs. `send` gets the values by name. */
export function form(submit, fields, send, more = []) {
  const said = h("p", { class: "wrong", role: "alert" });
  const element = h("form", { novalidate: true }, ...fields, said, h("div", { class: "row" }, h("button", { type: "submit" }, submit), ...more));
  element.addEventListener("submit", async (event) => {
    event.preventDefault();
    const first = element.querySelector("button[type=submit]");
    for (const wrong of element.querySelectorAll(".wrong")) wrong.textContent = "";
    first.disabled = true;
    try {
      await send(Object.fromEntries(new FormData(element)), element);
    } catch (error) {
      show(element, said, error);
    }
    first.disabled = false;
  });
  return element;
}

function show(element, said, error) {
  let isPlaced = false;
  for (const [name, reason] of Object.entries(error.fields ?? {})) {
    const place = element.querySelector(`[data-wrong="${CSS.escape(name)}"]`);
    if (place) { place.textContent = reason; isPlaced = true; }
  }
  if (!isPlaced) said.textContent = error.message;
}

export function dialog(title, ...children) {
  const element = h("dialog", { "aria-label": title }, h("h2", {}, title), ...children);
  document.body.append(element);
  element.addEventListener("close", () => element.remove());
  element.showModal();
  return element;
}

/** Asks before something that cannot be taken back. */
export function sure(question, what, act) {
  const box = dialog("Are you sure?", h("p", {}, question), form(what, [], async () => { await act(); box.close(); },
    [button("Cancel", () => box.close(), "quiet")]));
  box.querySelector("button[type=submit]").classList.add("danger");
}

export function toast(text, kind = "") {
  const note = h("p", { class: `toast ${kind}` }, text);
  document.getElementById("toasts").append(note);
  setTimeout(() => note.remove(), 6000);
}

// Charts: an SVG with a title for those who cannot see it, and a table of the same figures behind "as figures".

/** Bars in two parts: of each `whole`, `part` is filled. */
export function bars(title, points, names) {
  const [width, height, foot] = [720, 180, 22];
  const most = Math.max(1, ...points.map((point) => point.whole));
  const step = width / Math.max(1, points.length);
  const scale = (value) => (height - foot - 8) * value / most;
  const every = Math.ceil(points.length / 12);
  const shapes = points.flatMap((point, index) => {
    const x = index * step + step * 0.15;
    const bar = (value, kind) => svg("rect", { x, width: step * 0.7, y: height - foot - scale(value), height: scale(value), rx: 2, class: kind });
    const label = index % every ? [] : [svg("text", { x: index * step + step / 2, y: height - 6, "text-anchor": "middle" }, point.label)];
    const group = svg("g", {}, svg("title", {}, `${point.label}: ${point.whole} ${names[0]}, ${point.part} ${names[1]}`), bar(point.whole, "whole"), bar(point.part, "part"));
    return [group, ...label];
  });
  const axis = [svg("line", { x1: 0, x2: width, y1: height - foot, y2: height - foot, class: "axis" }), svg("text", { x: 2, y: 10 }, String(most))];
  const picture = svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": title }, ...axis, ...shapes);
  const figures = h("details", {}, h("summary", {}, "as figures"), table(title, [["", (p) => p.label], [names[0], (p) => String(p.whole)], [names[1], (p) => String(p.part)]], points));
  const legend = h("p", { class: "legend" }, h("i", { class: "whole" }), ` ${names[0]} `, h("i", { class: "part" }), ` ${names[1]}`);
  return h("figure", { class: "chart" }, h("figcaption", {}, title), picture, legend, figures);
}

/** A line of the last values, for a rate. */
export function spark(title, values) {
  const [width, height] = [240, 48];
  const most = Math.max(1, ...values);
  const points = values.map((value, index) => `${(index * width / Math.max(1, values.length - 1)).toFixed(1)},${(height - 3 - (height - 6) * value / most).toFixed(1)}`);
  return svg("svg", { viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "none", role: "img", "aria-label": title, class: "spark" }, svg("polyline", { points: points.join(" ") }));
}
