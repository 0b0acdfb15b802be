// The history with its filters, and one call looked at closely: its events, its legs, the PBX's own messages.

import { get } from "../api.js";
import { button, card, clock, field, form, h, moment, number, pill, span, table, words } from "../draw.js";
import { liveCalls, watch } from "../live.js";

const outcomes = ["", "answered", "no_answer", "busy", "cancelled", "declined", "failed", "abandoned", "voicemail", "blocked"];
const filters = ["start", "end", "number", "queue", "direction", "disposition"];

export async function calls(place) {
  const [rows, more] = [h("div", { id: "history" }), h("div", { class: "row" })];
  let chosen = "";
  const search = form("Show", [
    field("From", "start", { type: "date" }), field("To", "end", { type: "date" }),
    field("Number", "number", { placeholder: "any party" }), field("Queue", "queue"),
    field("Direction", "direction", { options: [["", "any"], ["inbound"], ["outbound"], ["internal"]] }),
    field("Outcome", "disposition", { options: outcomes.map((name) => [name, name ? words(name) : "any"]) }),
  ], async (values) => {
    chosen = new URLSearchParams(filters.filter((name) => values[name]).map((name) => [name, values[name]])).toString();
    await load();
  }, [h("a", { class: "button quiet", id: "csv", download: "calls.csv" }, "Save as CSV")]);
  search.classList.add("filters");
  const found = [];
  const load = async (next) => {
    if (!next) found.length = 0;
    const page = await get(`../relay/call-history?limit=50&${chosen}${next ? `&next=${encodeURIComponent(next)}` : ""}`);
    found.push(...page.data);
    rows.replaceChildren(history(found));
    more.replaceChildren(...(page.next ? [button("More", () => load(page.next), "quiet")] : []));
    search.querySelector("#csv").href = `api/calls.csv?limit=1000&${chosen}`;
  };
  place.append(h("h1", {}, "Calls"), card("Find", search), card("Ended calls", rows, more));
  await load();
  const timer = { waiting: 0 };
  const end = watch(({ kind, event }) => {
    if (kind !== "event" || event.event !== "call.ended" || found.length > 50) return;
    clearTimeout(timer.waiting);
    timer.waiting = setTimeout(() => load().catch(() => {}), 300);
  });
  return () => { clearTimeout(timer.waiting); end(); };
}

const tone = (outcome) => outcome === "answered" || outcome === "voicemail" ? "good" : outcome === "failed" || outcome === "abandoned" ? "bad" : "warn";

function history(found) {
  return table("Ended calls, newest first", [
    ["Started", (call) => moment(call.started_at)], ["From", (call) => number(call.from)], ["To", (call) => number(call.to)],
    ["Direction", (call) => call.direction], ["Outcome", (call) => pill(words(call.disposition), tone(call.disposition))],
    ["Answered by", (call) => call.answered_by?.id ?? "–"], ["Rang", (call) => span(call.ring_seconds)], ["Talked", (call) => span(call.talk_seconds)],
    ["", (call) => h("a", { href: `#/call/${call.id}` }, "timeline")],
  ], found);
}

export async function call(place, id) {
  const show = async () => {
    const trace = await get(`api/calls/${encodeURIComponent(id)}/trace`);
    place.replaceChildren(h("h1", {}, "One call"), ...timeline(trace));
  };
  await show();
  const end = watch(({ kind, event }) => { if (kind === "event" && event.id === id) show().catch(() => {}); });
  return end;
}

function timeline({ events, frames }) {
  const last = events.at(-1).data.call;
  const head = [["From", number(last.from)], ["To", number(last.to)], ["State", words(last.disposition ?? last.state)], ["Reason", words(last.reason)],
    ["Answered by", last.answered_by?.id ?? "–"], ["Ended by", last.ended_by?.id ?? "–"], ["Rang", span(last.ring_seconds)], ["Talked", span(last.talk_seconds)], ["Id", last.id]];
  const started = new Date(events[0].time);
  return [
    card("In short", h("dl", { class: "facts" }, head.flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]))),
    card("Events", table("What happened, in order", [
      ["After", (event) => `${((new Date(event.time) - started) / 1000).toFixed(1)} s`], ["At", (event) => clock(event.time)],
      ["Event", (event) => event.type], ["", (event) => detail(event)], ["Position", (event) => String(Number(event.sequence))],
    ], events.map((event) => ({ ...event, id: null })))),
    card("Legs", table("Everybody's own connection", [
      ["Party", (leg) => leg.party.id], ["Role", (leg) => leg.role], ["Rang", (leg) => clock(leg.ringing_at)], ["Answered", (leg) => clock(leg.answered_at)],
      ["Ended", (leg) => clock(leg.ended_at)], ["Why", (leg) => words(leg.reason)],
    ], last.legs.map((leg) => ({ ...leg, id: null })))),
    card("The PBX's messages", frames.length ? frames.map((frame) => h("details", {}, h("summary", {}, `${clock(frame.at)} ${frame.text.split("\n")[0]}`), h("pre", {}, frame.text)))
      : h("p", { class: "muted" }, "They are kept in memory for a while only; those of this call are gone.")),
  ];
}

function detail({ data }) {
  const { call: _, inferred, ...rest } = data;
  const parts = Object.entries(rest).map(([name, value]) => `${words(name)}: ${typeof value === "object" && value ? value.id ?? value.party?.id ?? JSON.stringify(value) : value}`);
  return h("span", {}, parts.join(" · "), inferred ? pill("inferred", "warn") : "");
}
