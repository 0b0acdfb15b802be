// What a source is given: a place to put what it saw, and nothing else of the house.

package import Basics
package import CallModel
package import Loop

/// The link to a PBX, as the agent holds it.
@LoopActor
package protocol PBXSource: AnyObject {
  /// `asterisk`, `3cx`: in the events' source and on the health board.
  var name: String { get }
  func start()
  /// Ends the link for good.
  func stop()
  /// Closes the connection and begins anew, with a fresh snapshot.
  func reconnect()
  /// What the PBX said of these channels or groups lately, oldest first.
  func messages(naming ids: Set<String>) -> [(at: Timestamp, text: String)]
}

/// Takes observations in the order a PBX made them. Given to every source by the agent.
@LoopActor
package protocol SourceOutlet: AnyObject {
  func observe(_ observations: [Observation])
}
