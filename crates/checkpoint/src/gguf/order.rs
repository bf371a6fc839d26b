//! In which order a file holds the rows of a tensor, or its columns, where that is not a folder's.

/// An order. Rows and columns are counted from the beginning of the tensor, or of the piece of a stored one that it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Order {
    /// A folder's.
    #[default]
    Straight,
    /// The rows of each of so many heads, which rotate as halves, as rotated pairs: 0, half, 1, half + 1, … (`permute` in
    /// llama.cpp's `convert_hf_to_gguf.py`).
    Pairs { heads: usize },
    /// So many rows together, and the next so many that far behind the first of them.
    Blocks { rows: usize, apart: usize },
    /// From a row on, those of value heads as tiles.
    Tiled { from: usize, tiles: Tiles },
    /// Columns of value heads as tiles.
    TiledColumns(Tiles),
}

/// Value heads of a delta net in a file: the first of each key head, then the second of each, …. In a folder all of a key
/// head stand together (`_LinearAttentionVReorderBase` in llama.cpp's `conversion/qwen.py`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tiles {
    pub(super) key_heads: usize,
    /// Value heads of a key head.
    pub(super) group: usize,
    /// Rows or columns of a value head.
    pub(super) width: usize,
}

impl Tiles {
    fn stored(self, at: usize) -> usize {
        let (head, inside) = (at / self.width, at % self.width);
        (head % self.group * self.key_heads + head / self.group) * self.width + inside
    }
}

impl Order {
    /// Where a row of a tensor of so many lies in the file.
    pub(super) fn stored_row(self, row: usize, height: usize) -> usize {
        match self {
            Self::Straight | Self::TiledColumns(_) => row,
            Self::Pairs { heads } => {
                let head_dim = height / heads;
                let (head, inside) = (row / head_dim, row % head_dim);
                let (half, pair) = (inside / (head_dim / 2), inside % (head_dim / 2));
                head * head_dim + 2 * pair + half
            }
            Self::Blocks { rows, apart } => row / rows * apart + row % rows,
            Self::Tiled { from, .. } if row < from => row,
            Self::Tiled { from, tiles } => from + tiles.stored(row - from),
        }
    }

    /// Where a column lies in the file.
    pub(super) fn stored_column(self, column: usize) -> usize {
        if let Self::TiledColumns(tiles) = self { tiles.stored(column) } else { column }
    }

    /// How many numbers of a row lie together in the file from a column on; none where all of the tensor's do.
    pub(super) fn together(self, column: usize, columns: usize) -> Option<usize> {
        match self {
            Self::Straight => None,
            Self::TiledColumns(tiles) => Some(tiles.width - column % tiles.width),
            _ => Some(columns - column),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where each of so many rows lies.
    fn rows(order: Order, height: usize) -> Vec<usize> {
        (0..height).map(|row| order.stored_row(row, height)).collect()
    }

    #[test]
    fn rows_are_found_in_every_order() {
        assert_eq!(rows(Order::Pairs { heads: 2 }, 8), [0, 2, 1, 3, 4, 6, 5, 7]);
        assert_eq!(rows(Order::Blocks { rows: 2, apart: 5 }, 6), [0, 1, 5, 6, 10, 11]);
        // Two key heads with three value heads of two rows each, behind one other row.
        let tiles = Tiles { key_heads: 2, group: 3, width: 2 };
        assert_eq!(rows(Order::Tiled { from: 1, tiles }, 13), [0, 1, 2, 5, 6, 9, 10, 3, 4, 7, 8, 11, 12]);
        let columns: Vec<usize> = (0..12).map(|column| Order::TiledColumns(tiles).stored_column(column)).collect();
        assert_eq!(columns, [0, 1, 4, 5, 8, 9, 2, 3, 6, 7, 10, 11]);
        assert_eq!(Order::TiledColumns(tiles).together(3, 12), Some(1));
    }
}
