// Keeps the progress of all destinations: what they settled within a moment goes into one transaction. What could not be
// kept is tried again, and until then no destination sends more than its bound in flight.

internal import Basics
internal import CallModel
package import Health
internal import Log
package import Loop
internal import Store

@LoopActor
package final class SettlementBook {
  package let store: DestinationStore
  private let health: HealthBoard
  private var waiting: [ObjectIdentifier: Courier] = [:]
  private var unsaved: [(Courier, DestinationStore.Step)] = []
  private var isSaving = false
  private var timer: Loop.Timer?

  /// How long a settlement may wait for others; less when a destination is held up by it.
  private static let gatherFor: Duration = .milliseconds(20)

  package init(_ store: DestinationStore, health: HealthBoard) { (self.store, self.health) = (store, health) }

  func note(_ courier: Courier, isUrgent: Bool) {
    waiting[ObjectIdentifier(courier)] = courier
    guard !isSaving, unsaved.isEmpty else { return }
    if isUrgent {
      if let timer { LoopActor.loop.cancel(timer) }
      timer = nil
      // At the end of the turn: what others settle within it comes along.
      isSaving = true
      LoopActor.loop.atTurnEnd { [self] in save() }
    } else if timer == nil {
      timer = LoopActor.loop.after(Self.gatherFor) { [self] in
        timer = nil
        guard !isSaving else { return }
        isSaving = true
        save()
      }
    }
  }

  private func save() {
    if unsaved.isEmpty {
      let couriers = waiting.values
      waiting = [:]
      for courier in couriers { if let step = courier.takeStep() { unsaved.append((courier, step)) } }
    }
    guard !unsaved.isEmpty else {
      isSaving = false
      return
    }
    // One bounded transaction; its end begins the next.
    LoopActor.begin { [self] in
      do throws(StoreError) {
        try await store.save(unsaved.map(\.1))
        kept()
      } catch {
        failed(error)
      }
    }
  }

  private func kept() {
    let steps = unsaved
    unsaved = []
    isSaving = false
    health.clear(SinkCondition.unsaved)
    for (courier, step) in steps { courier.saved(step) }
    for courier in Array(waiting.values) { note(courier, isUrgent: courier.isHeldUp) }
    for waiting in idlers { waiting.resume() }
    idlers = []
  }

  private func failed(_ error: StoreError) {
    Log.warning("what destinations acknowledged cannot be kept; they wait", [.errorText: error.description])
    health.raise(SinkCondition.unsaved, detail: error.description)
    LoopActor.loop.after(.seconds(1)) { [self] in save() }
  }

  private var idlers: [CheckedContinuation<Void, Never>] = []

  /// Returns when what was settled so far is on disk.
  package func flush() async {
    while isSaving || !waiting.isEmpty {
      if !isSaving {
        if let timer { LoopActor.loop.cancel(timer) }
        timer = nil
        isSaving = true
        save()
        if !isSaving { continue }
      }
      await withCheckedContinuation { idlers.append($0) }
    }
  }
}
