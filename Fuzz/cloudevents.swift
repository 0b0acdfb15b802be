// Requests that claim to carry CloudEvents, and texts out of headers.

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ start: UnsafePointer<UInt8>, _ count: Int) -> Int32 {
  let bytes = Array(UnsafeBufferPointer(start: start, count: count))
  guard let mode = bytes.first else { return 0 }
  let body = Array(bytes.dropFirst())
  let text = String(decoding: body, as: UTF8.self)
  switch mode % 4 {
  case 0: _ = try? CloudEvent(structured: body)
  case 1: _ = try? CloudEvent.batch(body)
  case 2:
    let names = ["ce-id", "ce-source", "ce-type", "ce-specversion", "ce-time", "content-type", "ce-x"]
    let values = text.split(separator: "\n", maxSplits: names.count, omittingEmptySubsequences: false).map(String.init)
    _ = try? CloudEvent.decode(
      Dictionary(uniqueKeysWithValues: zip(names, values)), body: Array((values.last ?? "").utf8))
  default:
    _ = TraceParent.parsed(text)
    guard let decoded = HeaderText.decoded(text) else { return 0 }
    precondition(
      HeaderText.decoded(HeaderText.encoded(decoded)) == decoded, "a header text does not survive its encoding")
  }
  return 0
}
