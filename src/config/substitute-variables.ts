/**
 * Replaces `${NAME}` by the environment variable of that name; `$${` stands for `${` itself. A replaced text is not
 * looked at again. Problems never hold the value of a variable.
 */
export function substituteVariables(text: string, env: NodeJS.ProcessEnv): { text: string; problems: string[] } {
  const problems: string[] = []
  const replaced = text.replaceAll(/\$\$\{|\$\{([^}]*)(\}?)/g, (whole, name: string | undefined, close: string) => {
    if (name === undefined) return '${'
    if (close === '') problems.push('"${" without its "}"; write "$${" for the characters themselves')
    else if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) problems.push('Only ${NAME} is replaced: letters, digits and "_"')
    else if (!Object.hasOwn(env, name) || env[name] === undefined) {
      problems.push(`The environment variable ${name} is not set`)
    } else return env[name]
    return whole
  })
  return { text: replaced, problems }
}
