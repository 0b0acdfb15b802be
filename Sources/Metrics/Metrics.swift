// Counters, gauges and histograms in the Prometheus text form. Recording is an array store on the loop.

internal import Basics
internal import Synchronization

/// One number that only grows, or one that goes up and down.
package final class Metric: Sendable {
  package enum Kind: String, Sendable { case counter, gauge }

  package let name: String
  package let help: String
  package let kind: Kind
  private let bits = Atomic<Int64>(0)

  init(name: String, help: String, kind: Kind) {
    self.name = name
    self.help = help
    self.kind = kind
  }

  package func add(_ amount: Int = 1) { bits.wrappingAdd(Int64(amount), ordering: .relaxed) }
  package func set(_ value: Int) { bits.store(Int64(value), ordering: .relaxed) }
  package var value: Int { Int(bits.load(ordering: .relaxed)) }
}

/// Durations in fixed buckets, in seconds.
package final class Histogram: Sendable {
  package let name: String
  package let help: String
  private static let bounds: [Double] = [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 1, 5]
  private let state = Mutex((counts: [Int](repeating: 0, count: 12), sum: 0.0))

  init(name: String, help: String) {
    self.name = name
    self.help = help
  }

  package func record(_ seconds: Double) {
    let bucket = Self.bounds.firstIndex { seconds <= $0 } ?? Self.bounds.count
    state.withLock { state in
      state.counts[bucket] += 1
      state.sum += seconds
    }
  }

  func write(to text: inout String) {
    let (counts, sum) = state.withLock { $0 }
    text += "# HELP \(name) \(help)\n# TYPE \(name) histogram\n"
    var total = 0
    for (bound, count) in zip(Self.bounds, counts) {
      total += count
      text += "\(name)_bucket{le=\"\(bound)\"} \(total)\n"
    }
    total += counts[Self.bounds.count]
    text += "\(name)_bucket{le=\"+Inf\"} \(total)\n\(name)_sum \(sum)\n\(name)_count \(total)\n"
  }
}

package final class MetricRegistry: Sendable {
  private let state = Mutex((metrics: [Metric](), histograms: [Histogram]()))

  package init() {}

  package func counter(_ name: String, _ help: String) -> Metric { add(name, help, .counter) }
  package func gauge(_ name: String, _ help: String) -> Metric { add(name, help, .gauge) }

  private func add(_ name: String, _ help: String, _ kind: Metric.Kind) -> Metric {
    state.withLock { state in
      if let known = state.metrics.first(where: { $0.name == name }) { return known }
      let metric = Metric(name: name, help: help, kind: kind)
      state.metrics.append(metric)
      return metric
    }
  }

  package func histogram(_ name: String, _ help: String) -> Histogram {
    let histogram = Histogram(name: name, help: help)
    state.withLock { $0.histograms.append(histogram) }
    return histogram
  }

  /// Every counter and gauge now, by name.
  package var values: [(name: String, value: Int)] { state.withLock { $0.metrics.map { ($0.name, $0.value) } } }

  /// Prometheus exposition format 0.0.4.
  package var exposition: String {
    let (metrics, histograms) = state.withLock { $0 }
    var text = ""
    for metric in metrics {
      text += "# HELP \(metric.name) \(metric.help)\n# TYPE \(metric.name) \(metric.kind.rawValue)\n"
      text += "\(metric.name) \(metric.value)\n"
    }
    for histogram in histograms { histogram.write(to: &text) }
    return text
  }
}
