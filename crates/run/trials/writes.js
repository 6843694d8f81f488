// What nearly every program does, so that it writes to the memory that they write to; says `fine` as the last thing, and waits.

class Point {
  constructor(numbers) {
    this.numbers = numbers;
  }
  doubled() {
    return this.numbers.map(number => number * 2);
  }
}

process.on('exit', () => {
  console.log('fine');
  // Until it is killed.
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
});
console.log(new Point([1, 2]).doubled(), { a: 1.5 }, 'a,b'.split(','), JSON.stringify([1]));
try {
  throw new Error('no');
} catch (error) {
  console.log(`${error.message} ${Math.round(1.5)}`);
}
