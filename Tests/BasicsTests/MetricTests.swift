import Metrics
import Testing

@Suite struct MetricTests {
  @Test func aLabelsTextCannotEndItsLine() {
    var family = MetricFamily("up", "whether")
    family.add([(name: "name", value: "a\r\nb\"c\\d")], 1)
    let lines = family.exposition.unicodeScalars.split(separator: "\n").map { String(String.UnicodeScalarView($0)) }
    #expect(lines == ["# HELP up whether", "# TYPE up gauge", "up{name=\"a\r\\nb\\\"c\\\\d\"} 1"])
  }
}
