// An action of the manager interface, and what Asterisk's answer to it means for whoever asked.

internal import Basics
internal import CallModel

extension AsteriskCommands {
  func perform(_ action: AMIAction) async throws(CommandRefusal) {
    switch await source.perform(action) {
    case .answered(let response):
      if !response.isSuccess { throw Self.refusal(action.name, response.message) }
    case .notSent:
      throw CommandRefusal(
        .unavailable, "link-down", "The link to Asterisk is down; nothing was sent.",
        remedy: "Try again when /relay/health shows the link up.")
    case .noAnswer:
      throw CommandRefusal(
        .outcomeUnknown, "outcome-unknown", "Asterisk took the command and did not answer; it may still carry it out.",
        remedy: "Look at /relay/active-calls before sending it again.")
    }
  }

  /// Asterisk's sentences as of release 22 (manager.c and the modules; Fixtures/asterisk/originate-failures).
  private static func refusal(_ action: String, _ message: String) -> CommandRefusal {
    let text = message.asciiLowercased
    if text.contains("permission denied") {
      return CommandRefusal(
        .notSupported, "not-permitted", "The manager account may not do \(action).",
        remedy: "Set `write=call,agent,reporting,originate` for the account in manager.conf and reconnect.")
    }
    if text.contains("extension does not exist") || text.contains("invalid extension") {
      return CommandRefusal(.badTarget, "unknown-extension", "The dialplan has no such extension.")
    }
    if text.contains("channel") || text.contains("bridge") {
      return CommandRefusal(.notNow, "call-moved-on", "Asterisk says: \(message)")
    }
    return CommandRefusal(.notNow, "refused-by-pbx", "Asterisk says: \(message)")
  }
}
