// Runs the cases of http-cache-tests against a cache, with the package's own server behind it, and prints one line of JSON:
// every case with its kind and what came of it.
//
//   node driver.mjs serve PORT
//   node driver.mjs run BASE_URL [CASE]

import http from 'node:http'
import { createRequire } from 'node:module'
import { runTests, getResults } from 'http-cache-tests/client/runner.mjs'
import suites from 'http-cache-tests/tests/index.mjs'
import surrogate from 'http-cache-tests/tests/surrogate-control.mjs'

const fetch = createRequire(import.meta.url)('node-fetch')
const [what, where, only] = process.argv.slice(2)

if (what === 'serve') {
  Object.assign(process.env, { npm_config_protocol: 'http', npm_config_port: where, npm_config_pidfile: '/dev/null' })
  await import('http-cache-tests/server/server.mjs')
} else {
  // Names below localhost lead nowhere by themselves on every machine.
  const lookup = (_name, options, done) =>
    options.all ? done(null, [{ address: '127.0.0.1', family: 4 }]) : done(null, '127.0.0.1', 4)
  const agent = new http.Agent({ lookup })
  const all = [...suites, surrogate]
  const chosen = all.map(suite => ({ ...suite, tests: suite.tests.filter(test => !only || test.id === only) }))
  if (only) chosen.forEach(suite => suite.tests.forEach(test => { test.dump = true }))
  await runTests(chosen, (url, init) => fetch(url, { ...init, agent }), false, where)
  const results = getResults()
  const cases = all.flatMap(suite => suite.tests.map(test => ({
    suite: suite.id,
    id: test.id,
    kind: test.kind ?? 'required',
    browser: test.browser_only === true,
    // A case passes with true; else it says why not.
    result: results[test.id] === undefined ? null : results[test.id]
  })))
  console.log(JSON.stringify(cases))
}
