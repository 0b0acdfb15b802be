// Signals as loop events. Made before the first thread starts, so that every thread inherits the blocked mask.

internal import CShims
internal import Glibc

@LoopActor
package final class Signals {
  private var registration: Loop.Registration?

  package init(_ signals: [Int32], _ handler: @escaping @LoopActor (Int32) -> Void) {
    let descriptor = shim_signalfd(signals, Int32(signals.count))
    precondition(descriptor >= 0, "no descriptor left for signals")
    registration = LoopActor.loop.watch(descriptor, for: .readable) { _ in
      let signal = shim_signal_read(descriptor)
      if signal != 0 { handler(signal) }
    }
  }
}
