import { writeFileSync } from 'node:fs'
import { configTemplate } from '../src/config/config-template.ts'
import { configJsonSchema } from '../src/config/json-schema.ts'

// Writes what is derived from the code: config/weightvault.schema.json and config/weightvault.example.yaml.
// Run `npm run format` afterwards; tests/config/config-files.test.ts holds files and code equal.

const folder = new URL('../config/', import.meta.url)
writeFileSync(new URL('weightvault.schema.json', folder), `${JSON.stringify(configJsonSchema(), null, 2)}\n`)
writeFileSync(new URL('weightvault.example.yaml', folder), configTemplate())
