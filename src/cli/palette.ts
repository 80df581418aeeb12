import { styleText } from 'node:util'

/** Paints a text for a terminal; leaves it as it is where colours are off. */
export type Paint = (text: string) => string

/** The few colours the program uses, by what they mean. */
export interface Palette {
  readonly strong: Paint
  readonly faint: Paint
  readonly good: Paint
  readonly attention: Paint
  readonly bad: Paint
  readonly name: Paint
}

/** Colours, or the same functions without any. */
export function createPalette(colorful: boolean): Palette {
  const paint =
    (format: Parameters<typeof styleText>[0]): Paint =>
    (text) =>
      colorful ? styleText(format, text, { validateStream: false }) : text
  return {
    strong: paint('bold'),
    faint: paint('dim'),
    good: paint('green'),
    attention: paint('yellow'),
    bad: paint('red'),
    name: paint('cyan'),
  }
}
