// Your own account: password, authenticator, key.

import { ask, get, me, post, setSession } from "../api.js";
import { button, card, field, form, h, toast } from "../draw.js";

export function account(place) {
  place.append(h("h1", {}, "Your account"), me.must_change_password && h("p", { class: "trouble warning" }, "Choose a password of your own to go on."),
    card("Password", passwordForm()), ...(me.must_change_password ? [] : [card("Authenticator", authenticator()), card("Your own key", ownKey())]));
}

function passwordForm() {
  return form("Change password", [
    field("Current password", "password", { type: "password", autocomplete: "current-password", required: true }),
    field("New password", "new_password", { type: "password", autocomplete: "new-password", required: true }, "At least 12 characters. Every session of yours ends."),
  ], async (values) => {
    await post("api/password", values);
    setSession(null);
    toast("Changed. Sign in with the new password.");
  });
}

function authenticator() {
  const box = h("div", {});
  const code = () => field("Six digits", "code", { inputmode: "numeric", autocomplete: "one-time-code", maxlength: 6, required: true });
  const renew = async () => setSession(await get("api/session"));
  if (me.totp) {
    box.append(h("p", {}, "On. Signing in takes six digits of your authenticator."), form("Turn off", [code()], async (values) => { await ask("DELETE", "api/totp", values); await renew(); }));
    return box;
  }
  box.append(h("p", {}, "Off."), button("Turn on", async () => {
    const { secret, address } = await post("api/totp");
    box.replaceChildren(h("p", {}, "Enter this secret in your authenticator app, or open the ", h("a", { href: address }, "link"), " on the same device:"), h("p", {}, h("code", {}, secret)),
      form("Confirm", [code()], async ({ code }) => { await ask("PUT", "api/totp", { secret, code }); await renew(); }));
  }, "quiet"));
  return box;
}

function ownKey() {
  const box = h("div", {});
  const show = ({ key }) => box.replaceChildren(h("p", {}, h("code", {}, key)), button("Make the next one", async () => show(await post("api/own-key")), "quiet"));
  box.append(h("p", {}, "For programs of your own; it may what you may. Send it as X-API-Key."), button("Show", async () => show(await get("api/own-key")), "quiet"));
  return box;
}
