// The page's frame: who is signed in decides which pages there are; the address's fragment says which is shown.

import { get, may, me, onSession, post, setSession } from "./api.js";
import { h, toast } from "./draw.js";
import * as live from "./live.js";
import { door } from "./pages/door.js";
import { dashboard } from "./pages/dashboard.js";
import { calls, call } from "./pages/calls.js";
import { pbx } from "./pages/pbx.js";
import { destination, destinations } from "./pages/destinations.js";
import { keys } from "./pages/keys.js";
import { users } from "./pages/users.js";
import { account } from "./pages/account.js";
import { audit, errors, configuration, retention } from "./pages/records.js";

/** Name, heading, the right it takes, how it is shown, and whether it is of the whole agent and not of a tenant. A page gives a function that ends it, or nothing. */
const pages = [
  ["dashboard", "Dashboard", "calls:read", dashboard],
  ["calls", "Calls", "history:read", calls],
  ["call", null, "admin:read", call],
  ["pbx", "PBX", "calls:read", pbx],
  ["destinations", "Destinations", "destinations:read", destinations],
  ["destination", null, "destinations:read", destination],
  ["keys", "API keys", "admin:read", keys],
  ["users", "Users", "admin:read", users],
  ["errors", "Errors", "admin:read", errors, true],
  ["audit", "Audit", "admin:read", audit],
  ["configuration", "Configuration", "admin:read", configuration, true],
  ["retention", "Retention", "admin:read", retention, true],
  ["account", null, null, account],
];

const isOpen = ([, , right, , isWhole]) => (!right || may(right)) && (!isWhole || me.whole_agent);
const main = document.getElementById("main");
const top = document.getElementById("top");
const line = document.getElementById("live");
let end = null;
let shown = 0;

async function show() {
  end?.();
  end = null;
  const mine = ++shown;
  top.hidden = !me;
  if (!me) {
    live.stop();
    main.replaceChildren(await door());
    return;
  }
  const [wanted, ...rest] = location.hash.replace(/^#\//, "").split("/");
  const known = pages.find((page) => page[0] === wanted && isOpen(page));
  const chosen = me.must_change_password ? pages.at(-1) : known ?? pages.find(([, , right]) => right && may(right)) ?? pages.at(-1);
  frame(chosen);
  if (may("events:read")) live.start();
  const place = h("div", {});
  main.replaceChildren(place);
  document.title = `${chosen[1] ?? "Sidetone"} · Sidetone`;
  try {
    const over = await chosen[3](place, ...rest.map(decodeURIComponent)) ?? null;
    // Somebody went on while this page was loading: it ends before it began.
    if (mine === shown) end = over; else over?.();
  } catch (error) {
    place.replaceChildren(h("p", { class: "wrong", role: "alert" }, error.message));
  }
}

function frame([current]) {
  const links = pages.filter((page) => page[1] && isOpen(page)).map(([name, heading]) =>
    h("a", { href: `#/${name}`, "aria-current": name === current ? "page" : null }, heading));
  document.getElementById("nav").replaceChildren(...links);
  document.getElementById("who").textContent = `${me.username} · ${me.role}`;
}

live.watch(({ kind, state }) => {
  if (kind !== "state") return;
  const [text, tone] = { live: ["live", "good"], connecting: ["connecting", ""], away: ["reconnecting", "bad"], off: ["", ""] }[state];
  line.textContent = text;
  line.className = `pill ${tone}`;
});

document.getElementById("leave").addEventListener("click", async () => {
  await post("api/logout").catch((error) => toast(error.message, "bad"));
  setSession(null);
});
addEventListener("hashchange", () => { show(); main.focus(); });
onSession(show);
get("api/session").then(setSession, () => setSession(null));
