// Answers one question a line: what do the platforms' own packages make of these files and requests?
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { parseAllHeaders } from '@netlify/headers-parser'
import { parseAllRedirects } from '@netlify/redirect-parser'

const require = createRequire(import.meta.url)
const redirector = require('netlify-redirector')
const { getTransformedRoutes } = require('@vercel/routing-utils')
console.error = () => {}

const folder = mkdtempSync(join(process.env.DRIVER_TMP ?? tmpdir(), 'driver-'))
const file = (name, text) => {
  const path = join(folder, name)
  writeFileSync(path, text ?? '')
  return path
}

// The shape in which the matcher takes what the parser gives.
const rule = ({ from, query, conditions, ...rest }) => ({ ...rest, origin: from, params: query, conditions })

const redirects = async ({ redirects, toml, asks }) => {
  const { redirects: rules, errors } = await parseAllRedirects({
    redirectsFiles: [file('_redirects', redirects)],
    netlifyConfigPath: file('netlify.toml', toml),
  })
  const matcher = await redirector.parseJSON(JSON.stringify(rules.map(rule)), {})
  const matches = asks.map(({ scheme, host, path, query, country, language, cookies }) => {
    const headers = { 'x-country': country, 'x-language': language }
    const match = matcher.match({
      scheme,
      host,
      path: decodeURIComponent(path),
      query: query ?? '',
      headers,
      getHeader: (name) => headers[name.toLowerCase()] ?? '',
      getCookie: (name) => cookies[name] ?? '',
    })
    if (match === null) return null
    return match.force404 ? { denied: true } : { to: match.to, status: match.status, force: match.force }
  })
  return { errors: errors.length, rules, matches }
}

const headers = async ({ headers, toml, asks }) => {
  const { headers: blocks, errors } = await parseAllHeaders({
    headersFiles: [file('_headers', headers)],
    netlifyConfigPath: file('netlify.toml', toml),
    minimal: false,
  })
  const fold = (values) => Object.fromEntries(Object.entries(values).map(([name, value]) => [name.toLowerCase(), value]))
  const matches = asks.map(({ path }) =>
    Object.assign({}, ...blocks.filter(({ forRegExp }) => forRegExp.test(decodeURIComponent(path))).map((b) => fold(b.values))),
  )
  return { errors: errors.length, blocks: blocks.map((block) => ({ for: block.for, values: fold(block.values) })), matches }
}

const found = (condition, ask) => {
  switch (condition.type) {
    case 'host':
      return ask.host
    case 'header':
      return ask.headers[condition.key]
    case 'cookie':
      return ask.cookies[condition.key]
    default:
      return new URLSearchParams(ask.query ?? '').get(condition.key) ?? undefined
  }
}

const meets = (condition, ask, captured) => {
  const value = found(condition, ask)
  if (value === undefined) return false
  if (!condition.value) {
    captured[condition.key] = value
    return true
  }
  const match = new RegExp(`^(?:${condition.value})$`).exec(value)
  if (match === null) return false
  Object.assign(captured, match.groups)
  if (condition.type === 'host') captured.host = value
  return true
}

const fill = (text, match, captured) =>
  text.replace(/\$(?:([1-9][0-9]*)|([a-zA-Z_]\w*))/g, (_, number, name) =>
    number ? (match[Number(number)] ?? '') : encodeURIComponent(captured[name] ?? ''),
  )

const vercel = ({ config, asks }) => {
  const { routes, error } = getTransformedRoutes(JSON.parse(config))
  if (error) return { error: error.message }
  const matches = asks.map((ask) => {
    const answer = { headers: {} }
    for (const route of routes ?? []) {
      if (route.handle) continue
      const match = new RegExp(route.src, 'i').exec(ask.path)
      if (match === null) continue
      const captured = {}
      if (!(route.has ?? []).every((condition) => meets(condition, ask, captured))) continue
      if ((route.missing ?? []).some((condition) => meets(condition, ask, {}))) continue
      if (route.continue) {
        for (const [name, value] of Object.entries(route.headers)) {
          answer.headers[name.toLowerCase()] = fill(value, match, captured)
        }
      } else if (route.headers?.Location !== undefined) {
        return { ...answer, status: route.status, to: fill(route.headers.Location, match, captured) }
      } else if (route.dest !== undefined) {
        return { ...answer, status: route.status ?? 200, to: fill(route.dest, match, captured) }
      }
    }
    return answer
  })
  return { matches }
}

const kinds = { redirects, headers, vercel }
for await (const line of createInterface({ input: process.stdin })) {
  const question = JSON.parse(line)
  let answer
  try {
    answer = await kinds[question.kind](question)
  } catch (error) {
    answer = { thrown: String(error) }
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`)
}
rmSync(folder, { recursive: true })
