import { z } from 'zod'
import { configSchema } from './config-schema.ts'

/** JSON Schema (draft 2020-12) of the configuration file, for editors. */
export function configJsonSchema(): Record<string, unknown> {
  const { $schema, ...rest } = z.toJSONSchema(configSchema, { io: 'input', target: 'draft-2020-12' })
  return { $schema, title: 'weightvault configuration', ...rest }
}
