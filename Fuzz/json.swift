// What parses must write and parse back to the same value.

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ data: UnsafePointer<UInt8>, _ size: Int) -> CInt {
  guard let value = try? JSONValue(parsing: Array(UnsafeBufferPointer(start: data, count: size))) else { return 0 }
  var json = JSONWriter()
  value.write(to: &json)
  guard let again = try? JSONValue(parsing: json.bytes) else { fatalError("written JSON does not parse") }
  precondition(again == value, "written JSON reads differently")
  return 0
}
