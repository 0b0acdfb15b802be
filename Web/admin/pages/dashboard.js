// What goes on now: the calls, the links with what is wrong and what to do, the hours behind us, the agent's own cost.

import { get, may, me, post } from "../api.js";
import { bars, button, card, clock, h, moment, number, pill, size, spark, span, table, toast, words } from "../draw.js";
import { eventCount, liveCalls, watch } from "../live.js";

const tones = { active: "good", ringing: "warn", queued: "warn", held: "warn", parked: "warn", up: "good", down: "bad", connecting: "warn", ok: "good", degraded: "warn" };

/** The agent itself is for who administers its default tenant. */
const isWhole = () => may("admin:read") && me.whole_agent;

export function dashboard(place) {
  const [callsBox, linksBox, hoursBox, costBox] = [h("div", { id: "live-calls" }), h("div"), h("div"), h("div")];
  place.append(h("h1", {}, "Dashboard"), h("div", { class: "grid" },
    h("section", { class: "card wide" }, h("h2", { id: "calls-heading" }, "Calls now"), callsBox),
    isWhole() && h("section", { class: "card" }, h("h2", {}, "Links and health"), linksBox),
    isWhole() && h("section", { class: "card" }, h("h2", {}, "This agent"), costBox),
    may("history:read") && h("section", { class: "card wide" }, h("h2", {}, "The last 24 hours"), hoursBox)));
  const rates = [];
  let seen = eventCount();
  let before = null;
  const showCalls = () => callsBox.replaceChildren(callTable());
  const showAgent = async () => {
    if (!isWhole()) return;
    const now = await get("api/overview").catch(() => null);
    if (!now) return;
    linksBox.replaceChildren(...links(now));
    costBox.replaceChildren(...cost(now, before, rates));
    before = { ...now, at: Date.now() };
  };
  const showHours = async () => {
    if (may("history:read")) hoursBox.replaceChildren(...hours((await get("api/statistics?hours=24").catch(() => ({ data: [] }))).data));
  };
  const ends = [
    watch(({ kind, event }) => {
      if (kind === "calls") showCalls();
      if (kind === "event" && event.event?.startsWith("link.")) showAgent();
    }),
    every(1000, () => { rates.push(eventCount() - seen); seen = eventCount(); if (rates.length > 60) rates.shift(); }),
    every(1000, showCalls), every(5000, showAgent), every(60_000, showHours),
  ];
  showCalls();
  showAgent();
  showHours();
  return () => ends.forEach((end) => end());
}

function every(pause, act) {
  const timer = setInterval(act, pause);
  return () => clearInterval(timer);
}

function callTable() {
  const rows = liveCalls();
  return table("Calls that are open now", [
    ["Since", (call) => clock(call.started_at)],
    ["From", (call) => number(call.from)],
    ["To", (call) => number(call.to)],
    ["State", (call) => pill(call.state, tones[call.state])],
    ["With", (call) => call.answered_by ? `${call.answered_by.id}` : call.queue ?? "–"],
    ["For", (call) => span((Date.now() - new Date(call.answered_at ?? call.started_at)) / 1000)],
    ["", (call) => may("admin:read") ? h("a", { href: `#/call/${call.id}` }, "look closer") : ""],
  ], rows, "No call is open.");
}

function links(now) {
  const list = now.links.map((link) => h("li", {},
    h("strong", {}, link.name), " ", pill(link.state, tones[link.state]), ` since ${moment(link.since)} `,
    may("admin") && button("Reconnect", async () => {
      await post(`api/links/${encodeURIComponent(link.name)}/reconnect`).then(() => toast(`${link.name} begins anew.`), (error) => toast(error.message, "bad"));
    }, "quiet", { "data-link": link.name })));
  const troubles = now.conditions.map((condition) => h("li", { class: `trouble ${condition.severity}` },
    h("strong", {}, condition.title), h("span", { class: "muted" }, ` since ${moment(condition.since)}`),
    condition.detail && h("p", {}, condition.detail), h("p", {}, "→ ", condition.remedy)));
  return [
    h("p", {}, "Overall ", pill(now.status, tones[now.status])),
    list.length ? h("ul", { class: "plain" }, list) : h("p", { class: "muted" }, "No link is configured."),
    troubles.length ? h("ul", { class: "plain" }, troubles) : h("p", { class: "muted" }, "Nothing is wrong."),
  ];
}

function cost(now, before, rates) {
  const share = before ? 100 * (now.cpu_seconds - before.cpu_seconds) / ((Date.now() - before.at) / 1000) : null;
  const facts = [
    ["Memory", size(now.resident_bytes)], ["Processor", share === null ? "…" : `${Math.max(0, share).toFixed(1)} % of a core`],
    ["Threads", now.threads], ["Up for", span(now.uptime_seconds)], ["Journal", `${size(now.journal_bytes ?? 0)}, position ${now.head ?? "–"}`], ["Version", now.version],
  ];
  return [h("dl", { class: "facts" }, facts.flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, String(value))])),
    h("p", { class: "muted" }, `Events a second: ${rates.at(-1) ?? 0}`), spark("Events a second in the last minute", rates.length > 1 ? rates : [0, 0])];
}

function hours(rows) {
  const total = rows.reduce((sum, row) => sum + row.total, 0);
  const answered = rows.reduce((sum, row) => sum + row.answered, 0);
  const waits = [0, 1, 2, 3, 4].map((index) => rows.reduce((sum, row) => sum + row.waits[index], 0));
  const label = (row) => new Date(row.start).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
  return [
    h("p", { class: "figures" }, h("strong", {}, String(total)), " calls, ", h("strong", {}, total ? `${Math.round(100 * answered / total)} %` : "–"), " answered"),
    bars("Calls by the hour", rows.map((row) => ({ label: label(row), whole: row.total, part: row.answered })), ["calls", "answered"]),
    bars("How long callers waited", ["under 5 s", "under 15 s", "under 30 s", "under a minute", "longer"].map((label, index) => ({ label, whole: waits[index], part: 0 })), ["calls", ""]),
  ];
}
