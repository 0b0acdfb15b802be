// Events as they happen, over the agent's own WebSocket: resumed at the position reached, so that nothing is missed
// while the line or the agent is away. The first calls come as a snapshot with the position to continue from.

import { base, get, me, setSession } from "./api.js";

const calls = new Map();
const watchers = new Set();
let socket = null;
let position = null;
let attempt = 0;
let timer = 0;
let state = "off";
let events = 0;
let round = 0;

/** Called with `{kind: "calls" | "state" | "event", …}`; gives the function that ends it. */
export function watch(watcher) {
  watchers.add(watcher);
  return () => watchers.delete(watcher);
}

const tell = (what) => { for (const watcher of [...watchers]) watcher(what); };
export const liveCalls = () => [...calls.values()].sort((a, b) => a.started_at < b.started_at ? -1 : 1);
export const liveState = () => state;
export const eventCount = () => events;

function become(next) {
  state = next;
  tell({ kind: "state", state });
}

export function start() {
  if (state !== "off") return;
  begin();
}

export function stop() {
  clearTimeout(timer);
  timer = 0;
  round += 1;
  const old = socket;
  socket = null;
  position = null;
  calls.clear();
  old?.close(1000);
  become("off");
}

async function begin() {
  timer = 0;
  become("connecting");
  try {
    const mine = round;
    if (position === null) await snapshot();
    if (mine === round) open();
  } catch (error) {
    if (error.status === 401) return;
    again();
  }
}

async function snapshot() {
  const now = await get("../relay/active-calls");
  calls.clear();
  for (const call of now.calls) calls.set(call.id, call);
  position = now.position;
  tell({ kind: "calls" });
}

function open() {
  const address = new URL(`../relay/ws?after=${position}`, base);
  address.protocol = address.protocol === "https:" ? "wss:" : "ws:";
  const line = new WebSocket(address);
  socket = line;
  line.onopen = () => { attempt = 0; become("live"); };
  line.onmessage = (message) => received(JSON.parse(message.data));
  line.onclose = (end) => { if (socket === line) ended(end); };
}

function received(frame) {
  if (frame.type === "history_lost") {
    position = null;
    socket?.close(1000);
    return;
  }
  position = frame.position;
  events += 1;
  const call = frame.data;
  if (call.id && call.state) {
    if (call.state === "ended") calls.delete(call.id); else calls.set(call.id, call);
    tell({ kind: "calls" });
  }
  tell({ kind: "event", position: frame.position, event: call });
}

async function ended(end) {
  socket = null;
  // The credential ended: who we are is asked anew, which shows the door when we are nobody.
  if (end.code === 1008 || end.code === 1006) await get("api/session").then(setSessionQuietly, () => {});
  if (me) again();
}

function setSessionQuietly(session) { if (!me) setSession(session); }

function again() {
  socket = null;
  become("away");
  const pause = Math.min(10_000, 250 * 2 ** attempt++) * (0.5 + Math.random() / 2);
  timer = setTimeout(begin, pause);
}
