// What the PBX has now, in seven lists: asked for when the link begins, and now and then while it holds.

internal import Basics
internal import CallModel

extension AMISession {
  private static let lists: [AMIAction] = [
    AMIAction("CoreShowChannels"), AMIAction("Status"), AMIAction("BridgeList"), AMIAction("QueueStatus"),
    AMIAction("ParkedCalls"), AMIAction("DeviceStateList"), AMIAction("ExtensionStateList"),
  ]

  /// Of all lists together: ten thousand calls with all that hangs on them. A list without an end is no PBX's.
  private static let itemLimit = 40_000

  mutating func countItem() {
    itemCount += 1
    if itemCount > Self.itemLimit { effects.append(.end(.garbage)) }
  }

  mutating func beginSnapshot() {
    phase = .snapshot(until: now + .seconds(5))
    nextAudit = now + Self.auditEvery
    ask(AMIAction("CoreStatus"), .epoch)
    effects.append(.observe(Observation(at: time, .snapshotBegan)))
    (isAnswered, itemCount) = (false, 0)
    openLists = Set(Self.lists.map(\.name))
    for list in Self.lists { ask(list, .list(list.name)) }
  }

  mutating func listDenied(_ name: String) {
    effects.append(.denied(action: name))
    listEnded(name)
  }

  mutating func listEnded(_ name: String) {
    openLists.remove(name)
    if case .snapshot = phase, openLists.isEmpty { endSnapshot() }
  }

  mutating func endSnapshot() {
    phase = .live
    effects.append(.observe(Observation(at: time, .snapshotEnded)))
    effects.append(.snapshotDone)
  }
}
