//! An app that keeps a list in its volume and watches for anybody who writes beside it.

use skylift_tests::app::App;
use skylift_tests::folder::Folder;

/// A server in Node that says which `version` it is. Into the folder of its volume it writes a beat every few milliseconds, under a
/// name of its own, and looks for beats of others: one that moves is a second writer, of which it leaves a note.
pub(crate) fn keeper(version: &str) -> Folder {
    let program = r#"
        const fs = require('fs');
        const http = require('http');
        const file = process.env.DATABASE_PATH ?? (process.env.FILES_PATH ?? '/nowhere') + '/list';
        const folder = require('path').dirname(file);
        const own = 'beat-' + process.env.SKYLIFT_INSTANCE;
        const seen = new Map();
        let count = 0;
        const beat = () => {
            fs.writeFileSync(folder + '/' + own, String(++count));
            for (const name of fs.readdirSync(folder)) {
                if (!name.startsWith('beat-') || name === own) continue;
                const now = fs.readFileSync(folder + '/' + name, 'utf8');
                if (seen.has(name) && seen.get(name) !== now) fs.appendFileSync(folder + '/second-writer', name + '\n');
                seen.set(name, now);
            }
        };
        if (fs.existsSync(folder)) { beat(); setInterval(beat, 4); }
        const read = name => { try { return fs.readFileSync(folder + '/' + name, 'utf8'); } catch { return ''; } };
        http.createServer((request, response) => {
            const url = new URL(request.url, 'http://x');
            if (url.pathname === '/add') { fs.appendFileSync(file, url.searchParams.get('word') + ' '); return response.end('added'); }
            if (url.pathname === '/list') return response.end(read(require('path').basename(file)));
            if (url.pathname === '/second') return response.end(read('second-writer'));
            if (url.pathname === '/env') return response.end(process.env[url.searchParams.get('name')] ?? '-');
            if (url.pathname === '/files') {
                try { return response.end(fs.readdirSync(url.searchParams.get('at')).join(' ')); }
                catch (refused) { response.statusCode = 403; return response.end(refused.code); }
            }
            if (url.pathname === '/fill') {
                for (let at = 0; at < Number(url.searchParams.get('mib')); at++) fs.writeFileSync(folder + '/fill-' + at, Buffer.alloc(1 << 20, 1));
                return response.end('filled');
            }
            if (url.pathname === '/empty') {
                for (const name of fs.readdirSync(folder)) if (name.startsWith('fill-')) fs.unlinkSync(folder + '/' + name);
                return response.end('emptied');
            }
            if (url.pathname === '/die') process.exit(3);
            response.end('VERSION');
        }).listen(process.env.PORT);
        // It goes on writing to its last moment.
        process.on('SIGTERM', () => setTimeout(() => process.exit(0), 100));
    "#;
    Folder::new()
        .file("package.json", r#"{"name":"keeper","scripts":{"start":"exec node server.js"}}"#)
        .file("server.js", program.replace("VERSION", version))
}

/// What the app says at a path.
pub(crate) async fn says(app: &App<'_>, path: &str) -> String {
    let answer = app.get(path).await;
    assert_eq!(answer.status, 200, "{path}: {}", answer.brief());
    answer.text()
}
