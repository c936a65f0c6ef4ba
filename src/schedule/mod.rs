//! Who is next: pure, told the time.
