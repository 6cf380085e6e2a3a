/** Swagger UI over the server's own OpenAPI document. Nothing comes from another host. */

/** Fields that may be left out start empty; Swagger UI would make up a value for each. */
function leftOut(schema) {
  const required = schema.required ?? [];
  for (const [name, field] of Object.entries(schema.properties)) {
    if (required.includes(name) || "default" in field) continue;
    field.example = field.type === "array" ? [] : "";
  }
}

function adapted(document) {
  document.servers = [{ url: new URL(".", location.href).href }]; // also right below a path of a reverse proxy
  for (const operation of Object.values(document.paths).flatMap(Object.values)) {
    const form = operation.requestBody?.content["multipart/form-data"].schema;
    if (form) leftOut(document.components.schemas[form.$ref.split("/").at(-1)]);
  }
  return document;
}

SwaggerUIBundle({
  dom_id: "#swagger-ui",
  url: "openapi.json",
  deepLinking: true,
  validatorUrl: null, // a service on another host
  plugins: [() => ({ components: { ParameterIncludeEmpty: () => null } })], // so that what is empty is left out
  responseInterceptor(response) {
    if (response.ok && new URL(response.url).pathname.endsWith("/openapi.json")) {
      response.text = JSON.stringify(adapted(JSON.parse(response.text)));
    }
    return response;
  },
});
