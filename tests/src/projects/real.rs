//! Projects as people have them, with packages from a registry.
//!
//! None has a lockfile: one that is made on one kind of machine need not fit another. Each shows the text that it is
//! given, so that a test sees which of its versions is served.

use serde_json::{Value, json};

use crate::folder::Folder;

/// A page without any build.
pub fn plain(text: &str) -> Folder {
    Folder::new().file("index.html", format!("<!doctype html><title>plain</title><h1>{text}</h1>"))
}

/// The Vite starter for React and TypeScript. The text stands in the script.
pub fn vite_react(text: &str) -> Folder {
    let package = json!({
        "name": "starter", "private": true, "type": "module",
        "scripts": { "build": "tsc --noEmit && vite build" },
        "dependencies": { "react": "^19.0.0", "react-dom": "^19.0.0" },
        "devDependencies": { "@types/react": "^19.0.0", "@types/react-dom": "^19.0.0",
            "@vitejs/plugin-react": "^5.0.0", "typescript": "^5.9.0", "vite": "^7.0.0" },
    });
    let typescript = json!({ "include": ["src"], "compilerOptions": {
        "target": "ES2022", "lib": ["ES2022", "DOM"], "module": "ESNext", "moduleResolution": "bundler",
        "jsx": "react-jsx", "strict": true, "skipLibCheck": true, "noEmit": true } });
    let config = "import { defineConfig } from 'vite'\nimport react from '@vitejs/plugin-react'\n
        export default defineConfig({ plugins: [react()] })\n";
    let main = "import { createRoot } from 'react-dom/client'\nimport App from './App'\n
        createRoot(document.getElementById('root')!).render(<App />)\n";
    Folder::new()
        .file("package.json", package.to_string())
        .file("tsconfig.json", typescript.to_string())
        .file("vite.config.ts", config)
        .file(
            "index.html",
            "<!doctype html><div id=\"root\"></div><script type=\"module\" src=\"/src/main.tsx\"></script>",
        )
        .file("src/main.tsx", main)
        .file("src/App.tsx", format!("export default function App() {{ return <h1>{text}</h1> }}\n"))
        .file("public/robots.txt", "User-agent: *\n")
        .file("public/assets/by-hand-BfTk3x9Q.txt", "looks hashed, and is not")
}

/// An Astro site of one page.
pub fn astro(text: &str) -> Folder {
    let package = project("astro build", json!({ "astro": "^5.0.0" }));
    Folder::new()
        .file("package.json", package.to_string())
        .file("astro.config.mjs", "import { defineConfig } from 'astro/config'\nexport default defineConfig({})\n")
        .file(
            "src/pages/index.astro",
            format!("---\nconst text = '{text}'\n---\n<html><body><h1>{{text}}</h1></body></html>\n"),
        )
}

/// An Eleventy site of one page.
pub fn eleventy(text: &str) -> Folder {
    let package = project("eleventy", json!({ "@11ty/eleventy": "3.1.2" }));
    Folder::new()
        .file("package.json", package.to_string())
        .file("index.md", format!("---\ntitle: page\n---\n# {text}\n"))
}

/// A pnpm workspace: the project is `apps/web`, and uses `packages/greeting`.
pub fn pnpm_workspace(text: &str) -> Folder {
    let root = json!({ "name": "workspace", "private": true, "packageManager": "pnpm@10.34.8" });
    let web = json!({ "name": "web", "private": true, "type": "module", "scripts": { "build": "vite build" },
        "dependencies": { "greeting": "workspace:*" }, "devDependencies": { "vite": "^7.0.0" } });
    let greeting = json!({ "name": "greeting", "version": "1.0.0", "type": "module", "main": "index.js" });
    Folder::new()
        .file("package.json", root.to_string())
        .file("pnpm-workspace.yaml", "packages:\n  - apps/*\n  - packages/*\n")
        .file("apps/web/package.json", web.to_string())
        .file("apps/web/index.html", "<!doctype html><script type=\"module\" src=\"/main.js\"></script>")
        .file("apps/web/main.js", "import { greeting } from 'greeting'\ndocument.title = greeting\n")
        .file("packages/greeting/package.json", greeting.to_string())
        .file("packages/greeting/index.js", format!("export const greeting = '{text}'\n"))
}

/// A project that pins a line of Node versions; its page is the version that built it.
pub fn pinned_node(range: &str) -> Folder {
    let package = json!({ "name": "pinned", "private": true, "scripts": { "build": "node build.js" },
        "engines": { "node": range } });
    let script =
        "const fs = require('fs'); fs.mkdirSync('dist'); fs.writeFileSync('dist/index.html', process.version);";
    Folder::new().file("package.json", package.to_string()).file("build.js", script)
}

fn project(build: &str, packages: Value) -> Value {
    json!({ "name": "site", "private": true, "type": "module", "scripts": { "build": build }, "dependencies": packages })
}
