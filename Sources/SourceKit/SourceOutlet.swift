// What a source is given: a place to put what it saw, and nothing else of the house.

package import CallModel
package import Loop

/// Takes observations in the order a PBX made them. Given to every source by the agent.
@LoopActor
package protocol SourceOutlet: AnyObject {
  func observe(_ observations: [Observation])
}
