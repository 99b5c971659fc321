// Writes src/messages.ts: the types of every RPC method, from the schema that the agent's own models
// give. Argument: --check compares instead, and fails where they differ.
import { readFileSync, writeFileSync } from "node:fs";
import { compile } from "json-schema-to-typescript";

const schemaFile = new URL("../../../docs/rpc.schema.json", import.meta.url);
const output = new URL("../src/messages.ts", import.meta.url);
const text = readFileSync(schemaFile, "utf8").replaceAll("``", "`"); // As Python writes code.
const { methods, $defs } = JSON.parse(text);

// A title becomes the name of a type, and each field has one. Any JSON value is just unknown.
const plain = (schema) => {
  if (Array.isArray(schema)) return schema.map(plain);
  if (!schema || typeof schema !== "object") return schema;
  if (schema.$ref === "#/$defs/JsonValue") return { tsType: "unknown" };
  return Object.fromEntries(
    Object.entries(schema)
      .filter(([key, value]) => key !== "title" || typeof value !== "string")
      .map(([key, value]) => [key, plain(value)]),
  );
};

const object = (properties, description) => ({
  type: "object",
  description,
  properties,
  required: Object.keys(properties),
  additionalProperties: false,
});
const calls = Object.entries(methods).map(([name, { request, reply, description }]) => [
  name,
  object({ request, reply }, description),
]);
const source = await compile(
  {
    ...object(Object.fromEntries(calls), "Request and reply of each method."),
    $defs: Object.fromEntries(
      Object.entries($defs).map(([name, schema]) => [name, { ...plain(schema), title: name }]),
    ),
  },
  "Methods",
  {
    bannerComment: "// Generated from docs/rpc.schema.json by `npm run generate`.",
    ignoreMinAndMaxItems: true, // Else a list of at most 20 is a type of 400 lines.
    style: { printWidth: 100 },
  },
);
if (process.argv.includes("--check")) {
  if (readFileSync(output, "utf8") !== source) {
    throw new Error("src/messages.ts is not what docs/rpc.schema.json says: npm run generate");
  }
} else {
  writeFileSync(output, source);
}
