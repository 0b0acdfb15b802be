// A waiting line: in at the end, out at the front, without moving what is between.

struct Line<Element: Sendable>: Sendable, Sequence {
  private var elements: [Element] = []
  private var start = 0

  var isEmpty: Bool { start == elements.count }
  var first: Element? { isEmpty ? nil : elements[start] }

  mutating func append(_ element: Element) { elements.append(element) }

  mutating func popFirst() -> Element? {
    guard start < elements.count else { return nil }
    defer {
      start += 1
      if start > 64, start * 2 > elements.count {
        elements.removeFirst(start)
        start = 0
      }
    }
    return elements[start]
  }

  func makeIterator() -> ArraySlice<Element>.Iterator { elements[start...].makeIterator() }
}
