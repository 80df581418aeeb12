/** How a family of models marks the turns of a talk, for programs that take Go templates and stop words. */
export interface ChatFormat {
  readonly template: string
  readonly stop: readonly string[]
}

/** Formats by a mark that only their own Jinja templates have. */
const FORMATS: readonly { readonly mark: string; readonly format: ChatFormat }[] = [
  {
    mark: '<|im_start|>',
    format: {
      template:
        '{{- range .Messages }}<|im_start|>{{ .Role }}\n{{ .Content }}<|im_end|>\n{{ end }}<|im_start|>assistant\n',
      stop: ['<|im_start|>', '<|im_end|>'],
    },
  },
  {
    mark: '<|start_header_id|>',
    format: {
      template:
        '{{- range .Messages }}<|start_header_id|>{{ .Role }}<|end_header_id|>\n\n{{ .Content }}<|eot_id|>{{ end }}<|start_header_id|>assistant<|end_header_id|>\n\n',
      stop: ['<|start_header_id|>', '<|end_header_id|>', '<|eot_id|>'],
    },
  },
  {
    mark: '<start_of_turn>',
    format: {
      template:
        '{{- range .Messages }}<start_of_turn>{{ if eq .Role "assistant" }}model{{ else }}user{{ end }}\n{{ .Content }}<end_of_turn>\n{{ end }}<start_of_turn>model\n',
      stop: ['<start_of_turn>', '<end_of_turn>'],
    },
  },
]

/** The format of a chat template; undefined for one we do not know, which is better than a wrong one. */
export function chatFormatOf(chatTemplate: string | undefined): ChatFormat | undefined {
  if (chatTemplate === undefined) return undefined
  return FORMATS.find(({ mark }) => chatTemplate.includes(mark))?.format
}
