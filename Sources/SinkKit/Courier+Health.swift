// What the health board and the log say of a destination.

internal import Health
internal import Log
internal import Loop

extension Courier {
  func showState() {
    if state.kind == .gone {
      tools.health.raise(SinkCondition.gone, on: subject, detail: "\(record.name): \(state.reason)")
    } else {
      tools.health.clear(SinkCondition.gone, on: subject)
    }
  }

  /// Nothing has reached it for long.
  package func alarm() {
    isSilent = true
    let detail = lastFailure.map { "\(record.name): \($0.reason)" } ?? record.name
    tools.health.raise(SinkCondition.silent, on: subject, detail: detail)
  }

  func hush() {
    isSilent = false
    tools.health.clear(SinkCondition.silent, on: subject)
  }

  func showBreaker(_ receipt: Receipt) {
    guard outbox.breaker.isClosed == isFailing else { return }
    isFailing = !outbox.breaker.isClosed
    if isFailing {
      Log.warning("a destination does not take events", [.sinkName: record.name, .errorText: receipt.reason])
      tools.health.raise(SinkCondition.failing, on: subject, detail: "\(record.name): \(receipt.reason)")
    } else {
      Log.info("a destination takes events again", [.sinkName: record.name])
      tools.health.clear(SinkCondition.failing, on: subject)
    }
  }

  func stopForGood(_ receipt: Receipt) {
    guard state.kind == .active else { return }
    set(DestinationState(.gone, since: tools.wall(), reason: receipt.reason))
    Log.error("a destination is no more and is stopped", [.sinkName: record.name, .errorText: receipt.reason])
    let (state, record) = (state, record)
    // Kept for after a restart; should this fail, the destination says so again.
    LoopActor.begin { [tools] in try? await tools.book.store.set(state, of: record) }
  }
}
