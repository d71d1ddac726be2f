/**
 * Builds dist/ from src/ and its dependencies: an entry for each program and thread, and chunks that they share and load when
 * they need them. As one file for each module, with a folder of packages, a proxy takes 12 MB more (docs/decisions/0009).
 */
import { readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { build } from 'esbuild'

const ROOT = join(import.meta.dirname, '..')

rmSync(join(ROOT, 'dist'), { recursive: true, force: true })
const { metafile } = await build({
  absWorkingDir: ROOT,
  entryPoints: [
    'src/cmd/main.ts',
    'src/cmd/proxy/data-plane-thread.ts',
    'src/cmd/demo/catalog-app.ts',
    'src/cmd/demo/web-app.ts',
  ],
  outbase: 'src',
  outdir: 'dist',
  bundle: true,
  splitting: true,
  platform: 'node',
  target: 'node26',
  format: 'esm',
  // Where src/cmd/places.ts expects to lie, and koffi finds its library from.
  chunkNames: 'cmd/[name]-[hash]',
  external: ['koffi'],
  // Packages that are CommonJS require Node's own modules.
  banner: {
    js: "import{createRequire as requireFrom}from'node:module';const require=requireFrom(import.meta.url);",
  },
  // Threads keep the text of what they run.
  minifyWhitespace: true,
  sourcemap: true,
  metafile: true,
  logLevel: 'warning',
})

/** Where two classes have one name a bundler gives one of them another, and errors would show it. */
for (const file of Object.keys(metafile.outputs)) {
  if (file.endsWith('.map')) continue
  const renamed = /\bclass (\w+Error)\d+ extends/.exec(readFileSync(join(ROOT, file), 'utf8'))
  if (renamed !== null) throw new Error(`${file}: There are two classes ${renamed[1]}`)
}
