// Nobody is signed in: the way in, and, with a claim token in the address, the way to the first administrator.

import { post, setSession } from "../api.js";
import { field, form, h } from "../draw.js";

export async function door() {
  const claim = new URLSearchParams(location.hash.split("?")[1] ?? "").get("token");
  const isClaim = location.hash.startsWith("#/claim");
  return h("div", { class: "door" }, h("img", { src: "icon.svg", alt: "", width: 48, height: 48 }), h("h1", {}, "Sidetone"), isClaim ? claimForm(claim) : signInForm());
}

function signInForm() {
  const code = field("Six digits of your authenticator", "code", { inputmode: "numeric", autocomplete: "one-time-code", maxlength: 6 });
  code.hidden = true;
  return h("div", {}, form("Sign in", [
    field("User name", "username", { autocomplete: "username", required: true, autofocus: true }),
    field("Password", "password", { type: "password", autocomplete: "current-password", required: true }),
    code,
  ], async ({ username, password, code: digits }) => {
    try {
      setSession(await post("api/login", { username, password, ...(digits ? { code: digits } : {}) }));
    } catch (error) {
      if (error.code === "code-needed") { code.hidden = false; code.querySelector("input").focus(); }
      throw error;
    }
  }), h("p", { class: "muted" }, "First time here? ", h("a", { href: "#/claim" }, "Claim this agent"), "."));
}

function claimForm(token) {
  return h("div", {}, h("p", {}, "Make the first administrator. The token was printed by the installer; ", h("code", {}, "sidetone users claim"), " prints another."),
    form("Claim", [
      field("Claim token", "token", { value: token ?? "", autocomplete: "off", required: true, spellcheck: "false" }),
      field("User name", "username", { autocomplete: "username", required: true }),
      field("Password", "password", { type: "password", autocomplete: "new-password", required: true }, "At least 12 characters."),
    ], async (values) => {
      const session = await post("api/claim", values);
      history.replaceState(null, "", "#/dashboard");
      setSession(session);
    }), h("p", { class: "muted" }, h("a", { href: "#/" }, "Sign in instead")));
}
