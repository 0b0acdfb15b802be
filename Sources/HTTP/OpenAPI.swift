// The OpenAPI 3.1 document, written from the routes themselves.

internal import JSON

package enum OpenAPI {
  package static func document(_ routes: [Route], version: String) -> [UInt8] {
    var json = JSONWriter(capacity: 16_384)
    json.object { json in
      json.field("openapi", "3.1.0")
      json.key("info")
      json.object { json in
        json.field("title", "Sidetone")
        json.field("version", version)
        json.field("description", "Calls of this PBX: listen, look back, act.")
      }
      json.key("paths")
      json.object { json in writePaths(routes, to: &json) }
      json.key("components")
      json.object { json in writeComponents(to: &json) }
    }
    return json.bytes
  }

  private static func writePaths(_ routes: [Route], to json: inout JSONWriter) {
    for (path, group) in Dictionary(grouping: routes, by: \.path).sorted(by: { $0.key < $1.key }) {
      json.key(path)
      json.object { json in
        for route in group.sorted(by: { $0.method < $1.method }) {
          json.key(route.method.lowercased())
          json.object { json in write(route, to: &json) }
        }
      }
    }
  }

  private static func write(_ route: Route, to json: inout JSONWriter) {
    json.field("summary", route.summary)
    json.key("tags")
    json.array { $0.value(route.tag) }
    writeSecurity(route.access, to: &json)
    json.key("parameters")
    json.array { json in for parameter in route.parameters { write(parameter, of: route, to: &json) } }
    if let schema = route.requestSchema {
      json.key("requestBody")
      json.object { json in
        json.field("required", true)
        writeContent("application/json", schema, to: &json)
      }
    }
    json.key("responses")
    json.object { json in writeResponses(of: route, to: &json) }
  }

  /// Each way in by itself; the right that it takes is its scope.
  private static func writeSecurity(_ access: Access, to json: inout JSONWriter) {
    let ways: [(scheme: String, right: String?)] =
      switch access {
      case .open: []
      case .right(let right), .loopbackOr(let right):
        [("key", right), ("app", right), ("own", right), ("session", right)]
      case .signedIn: [("session", nil)]
      case .operatorOnly: [("operator", nil)]
      }
    json.key("security")
    json.array { json in
      for way in ways {
        json.object { json in
          json.key(way.scheme)
          json.array { json in if let right = way.right { json.value(right) } }
        }
      }
      if case .loopbackOr = access { json.object { _ in } }
    }
  }

  private static func write(_ parameter: Route.Parameter, of route: Route, to json: inout JSONWriter) {
    let isInPath = route.path.contains("{\(parameter.name)}")
    json.object { json in
      json.field("name", parameter.name)
      json.field("in", isInPath ? "path" : parameter.name.first?.isUppercase == true ? "header" : "query")
      json.field("required", isInPath)
      json.field("description", parameter.help)
      json.key("schema")
      json.object { $0.field("type", parameter.type) }
    }
  }

  private static func writeResponses(of route: Route, to json: inout JSONWriter) {
    json.key(String(route.responseStatus))
    json.object { json in
      json.field("description", HTTPStatus.reason(route.responseStatus))
      if let schema = route.responseSchema {
        if case .text(let type) = schema {
          writeContent(type, schema, to: &json)
        } else {
          writeContent("application/json", schema, to: &json)
        }
      }
    }
    json.key("default")
    json.object { json in
      json.field("description", "A problem document (RFC 9457)")
      json.key("content")
      json.object { json in
        json.key("application/problem+json")
        json.object { json in
          json.key("schema")
          json.object { $0.field("$ref", "#/components/schemas/Problem") }
        }
      }
    }
  }

  private static func writeContent(_ type: String, _ schema: Schema, to json: inout JSONWriter) {
    json.key("content")
    json.object { json in
      json.key(type)
      json.object { json in
        json.key("schema")
        schema.write(to: &json)
        if case .text = schema { return }
        json.key("example")
        schema.writeExample(to: &json)
      }
    }
  }

  private static func writeComponents(to json: inout JSONWriter) {
    let problem: [(String, Schema)] = [
      ("type", .string), ("title", .string), ("status", .integer), ("code", .string), ("detail", .string),
      ("message", .string), ("success", .boolean), ("error", .string), ("request_id", .string), ("fields", .anyObject),
    ]
    json.key("schemas")
    json.object { json in
      json.key("Problem")
      Schema.object(problem, required: ["status", "code", "detail", "request_id"]).write(to: &json)
    }
    json.key("securitySchemes")
    json.object { json in
      bearer("key", "An API key; `sidetone keys create` makes one.", to: &json)
      header("app", "x-app-api-key", "The key of a tenant's app.", to: &json)
      header("own", "x-api-key", "A user's own key.", to: &json)
      bearer("session", "The token of a login, as a bearer or in the cookie of the admin page.", to: &json)
      bearer("operator", "The command line on the agent's own host, over its socket.", to: &json)
    }
  }

  private static func bearer(_ name: StaticString, _ text: String, to json: inout JSONWriter) {
    json.key("\(name)")
    json.object { json in
      json.field("type", "http")
      json.field("scheme", "bearer")
      json.field("description", text)
    }
  }

  private static func header(_ name: StaticString, _ field: String, _ text: String, to json: inout JSONWriter) {
    json.key("\(name)")
    json.object { json in
      json.field("type", "apiKey")
      json.field("in", "header")
      json.field("name", field)
      json.field("description", text)
    }
  }
}
