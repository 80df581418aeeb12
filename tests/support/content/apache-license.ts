import { fixtureText } from './fixture-file.ts'

const PLACEHOLDER = 'Copyright [yyyy] [name of copyright owner]'

/**
 * The Apache-2.0 text as the Qwen repos hold it: an empty first line, no line end after the last line, and this
 * copyright line. With 2024 it is byte for byte the LICENSE of Qwen/Qwen3-0.6B and of Ollama's qwen2.5 layer.
 */
export function apacheLicense(copyright = 'Copyright 2024 Alibaba Cloud'): string {
  const text = fixtureText('licenses/apache-2.0.qwenlm-qwen3.8.txt')
  if (!text.includes(PLACEHOLDER)) throw new Error('the Apache-2.0 fixture has no copyright placeholder')
  return `\n${' '.repeat(33)}${text.trim().replace(PLACEHOLDER, () => copyright)}`
}
