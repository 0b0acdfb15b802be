// What a recorded server answered to lists, so that a played session can be asked again.

internal import Basics

/// List answers by action name, in lower case; the asker's ActionID takes the recorded one's place.
package struct RecordedAnswers: Sendable {
  private var answers: [String: [[(String, String)]]] = [:]

  package init() {}

  /// - Parameter messages: every message of the session, as lines.
  package init(_ messages: [[(key: String, value: String)]]) {
    var open: [String: [[(String, String)]]] = [:]
    for message in messages {
      guard let id = message.first(where: { $0.key == "ActionID" })?.value else { continue }
      open[id, default: []].append(message.filter { $0.key != "ActionID" }.map { ($0.key, $0.value) })
      guard let event = message.first(where: { $0.key == "Event" })?.value, event.hasSuffix("Complete") else {
        continue
      }
      answers[String(event.dropLast(8)).asciiLowercased] = open[id]
    }
  }

  /// The messages to send, or nil when this was not asked in the recording.
  func answer(_ action: String, id: String?) -> [[(String, String)]]? {
    answers[action]?.map { message in [message[0]] + (id.map { [("ActionID", $0)] } ?? []) + message.dropFirst() }
  }
}
