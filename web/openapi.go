package web

import (
	"reflect"
	"strings"

	"github.com/karatcoin/karat/chain/types"
)

// object is one of JSON.
type object = map[string]any

// openAPI describes the API to programs (OpenAPI 3.1). What a path answers is told by the type
// that makes it, so that neither is without the other.
func openAPI(base string, paths []apiPath) object {
	described := object{}
	for _, path := range paths {
		parameters := []object{}
		for rest := path.pattern; ; {
			_, name, ok := strings.Cut(rest, "{")
			if !ok {
				break
			}
			name, rest, _ = strings.Cut(name, "}")
			parameters = append(parameters, object{"name": name, "in": "path", "required": true, "schema": object{"type": "string"}})
		}
		described[path.pattern] = object{"get": object{
			"summary": path.summary, "parameters": parameters,
			"responses": object{"200": response("the answer", path.answer), "400": response("what is wrong, in a line", ""), "404": response("there is none, in a line", "")},
		}}
	}
	describeSending(described)
	return object{
		"openapi": "3.1.0", "info": object{"title": "karat", "version": "1", "description": "Esplora's paths. Amounts are in grains."},
		"servers": []object{{"url": base + "/api"}}, "paths": described,
	}
}

// describeSending describes what is sent here, and the faucet.
func describeSending(described object) {
	described["/tx"] = object{"post": object{
		"summary": "Takes a transaction in hexadecimal and passes it on; answers with its id.", "parameters": []object{},
		"requestBody": object{"required": true, "content": object{"text/plain": object{"schema": object{"type": "string"}}}},
		"responses":   object{"200": response("the id", ""), "400": response("why it was refused, in a line", "")},
	}}
	result := object{"type": "object", "required": []string{"txid"}, "properties": object{
		"txid": schemaOf(reflect.TypeFor[types.Hash]()), "other-wtxid": schemaOf(reflect.TypeFor[types.Hash]()), "vsize": object{"type": "integer"}, "fees": object{"type": "object"}, "error": object{"type": "string"},
	}}
	described["/txs/package"] = object{"post": object{
		"summary": "Takes a child with its parents, an array of transactions in hexadecimal with the child last; answers as RPC's submitpackage does.",
		"parameters": []object{
			{"name": "maxfeerate", "in": "query", "description": "refuse a feerate above this, in grains for a virtual byte", "schema": object{"type": "number", "default": 10000}},
			{"name": "maxburnamount", "in": "query", "description": "refuse an output that can never be spent and is worth more than this, in coins", "schema": object{"type": "number", "default": 0}},
		},
		"requestBody": object{"required": true, "content": object{"application/json": object{"schema": object{"type": "array", "minItems": 1, "maxItems": maxPackage, "items": object{"type": "string"}}}}},
		"responses": object{
			"200": object{"description": "what became of each, by witness id", "content": object{"application/json": object{"schema": object{
				"type": "object", "required": []string{"package_msg", "tx-results", "replaced-transactions"}, "additionalProperties": false, "properties": object{
					"package_msg": object{"type": "string"}, "tx-results": object{"type": "object", "additionalProperties": result}, "replaced-transactions": schemaOf(reflect.TypeFor[[]types.Hash]()),
				},
			}}}},
			"400": response("why none was looked at, in a line", ""),
		},
	}}
	asked := object{"200": response("how the faucet is", faucetJSON{}), "400": response("why there is nothing, in a line", ""), "429": response("whose turn it is not, and until when", "")}
	described["/faucet"] = object{
		"get": object{"summary": "How the faucet is, and the challenge for whoever asks.", "parameters": []object{}, "responses": asked},
		"post": object{
			"summary": "Asks for coins: a form with address, challenge and nonce, such that SHA-256 of challenge:address:nonce begins with so many zero bits.", "parameters": []object{},
			"requestBody": object{"required": true, "content": object{"application/x-www-form-urlencoded": object{"schema": object{"type": "object"}}}}, "responses": asked,
		},
	}
}

// response describes an answer: a string is text, bytes are bytes, and all else is JSON.
func response(what string, answer any) object {
	kind, schema := "application/json", object{}
	switch answer.(type) {
	case string:
		kind, schema = "text/plain; charset=utf-8", object{"type": "string"}
	case []byte:
		kind = "application/octet-stream"
	default:
		schema = schemaOf(reflect.TypeOf(answer))
	}
	return object{"description": what, "content": object{kind: object{"schema": schema}}}
}

// schemaOf is the JSON Schema of what encoding/json makes of a type. Of the kinds of types only
// those are known that answers have.
func schemaOf(t reflect.Type) object {
	if t == reflect.TypeFor[types.Hash]() {
		return object{"type": "string", "pattern": "^[0-9a-f]{64}$"}
	}
	switch t.Kind() {
	case reflect.Bool:
		return object{"type": "boolean"}
	case reflect.String:
		return object{"type": "string"}
	case reflect.Float64:
		return object{"type": "number"}
	case reflect.Slice:
		return object{"type": "array", "items": schemaOf(t.Elem())}
	case reflect.Array:
		return object{"type": "array", "items": schemaOf(t.Elem()), "minItems": t.Len(), "maxItems": t.Len()}
	case reflect.Map:
		return object{"type": "object", "additionalProperties": schemaOf(t.Elem())}
	case reflect.Struct:
		return schemaOfStruct(t)
	}
	return object{"type": "integer"}
}

func schemaOfStruct(t reflect.Type) object {
	properties, required := object{}, []string{}
	for field := range t.Fields() {
		name, rest, _ := strings.Cut(field.Tag.Get("json"), ",")
		if rest != "omitempty" {
			required = append(required, name)
		}
		if field.Type.Kind() != reflect.Pointer {
			properties[name] = schemaOf(field.Type)
			continue
		}
		schema := schemaOf(field.Type.Elem())
		if rest != "omitempty" {
			schema = object{"anyOf": []object{schema, {"type": "null"}}}
		}
		properties[name] = schema
	}
	return object{"type": "object", "properties": properties, "required": required, "additionalProperties": false}
}
