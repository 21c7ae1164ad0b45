//! Tables of products: a set of a city's products is a word of 64 bits, one for each product of the table.

use std::ops::Deref;

use crate::id::ProductId;
use crate::wire::{Corrupt, Reader, put_bytes, put_varint_u64};

/// Most products of a table: a set of products is a `u64`.
pub const MAX_PRODUCTS: usize = u64::BITS as usize;

/// The products that the bits of a set stand for: the product at index `i` is bit `i`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProductTable(Vec<ProductId>);

impl ProductTable {
    /// Adds a product, whose bit is the next one.
    ///
    /// # Panics
    /// If the table is full.
    pub fn push(&mut self, product: ProductId) {
        assert!(self.0.len() < MAX_PRODUCTS, "a table has one bit for each product");
        self.0.push(product);
    }

    /// Reads a table that [`Self::write`] wrote.
    ///
    /// # Errors
    /// [`Corrupt`] where it is not one.
    pub fn read(input: &mut Reader<'_>) -> Result<Self, Corrupt> {
        read_products(input).map(Self)
    }

    /// Appends the table to `out`.
    pub fn write(&self, out: &mut Vec<u8>) {
        write_products(out, &self.0);
    }

    /// How sets of this table become sets of `other`.
    #[must_use]
    pub fn mapping_to(&self, other: &Self) -> ProductMapping {
        if self == other {
            return ProductMapping(None);
        }
        let bit = |product| other.iter().position(|known| known == product).map_or(0, |index| 1 << index);
        ProductMapping(Some(self.iter().map(bit).collect()))
    }
}

impl Deref for ProductTable {
    type Target = [ProductId];

    fn deref(&self) -> &[ProductId] {
        &self.0
    }
}

impl From<Vec<ProductId>> for ProductTable {
    /// # Panics
    /// If there are more products than a table holds.
    fn from(products: Vec<ProductId>) -> Self {
        assert!(products.len() <= MAX_PRODUCTS, "a table has one bit for each product");
        Self(products)
    }
}

/// What each bit of one table is in another: the bit of the same product, or none.
#[derive(Clone, Debug)]
pub struct ProductMapping(Option<Vec<u64>>);

impl ProductMapping {
    /// Whether both tables are the same, so that no set changes.
    #[must_use]
    pub fn is_identity(&self) -> bool {
        self.0.is_none()
    }

    /// The set of the other table; products that are not in it are left out.
    #[must_use]
    pub fn map(&self, set: u64) -> u64 {
        let Some(bits) = &self.0 else { return set };
        let members = bits.iter().enumerate().filter(|(index, _)| set >> index & 1 == 1);
        members.fold(0, |all, (_, bit)| all | bit)
    }
}

/// Reads a list of products that [`write_products`] wrote.
///
/// # Errors
/// [`Corrupt`] where it is not one.
pub fn read_products(input: &mut Reader<'_>) -> Result<Vec<ProductId>, Corrupt> {
    let mut products = Vec::new();
    for _ in 0..input.varint_up_to(MAX_PRODUCTS as u64, "products")? {
        products.push(ProductId::new(input.text("a product")?).ok_or(input.invalid("a product"))?);
    }
    Ok(products)
}

/// Appends a list of products to `out`: their number, then each with its length.
pub fn write_products(out: &mut Vec<u8>, products: &[ProductId]) {
    put_varint_u64(out, products.len() as u64);
    for product in products {
        put_bytes(out, product.as_str().as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(products: &[&str]) -> ProductTable {
        products.iter().map(|id| ProductId::new(id).unwrap()).collect::<Vec<_>>().into()
    }

    #[test]
    fn a_table_reads_back() {
        let mut bytes = Vec::new();
        table(&["standard", "xl"]).write(&mut bytes);
        assert_eq!(ProductTable::read(&mut Reader::new(&bytes)), Ok(table(&["standard", "xl"])));
    }

    #[test]
    fn a_set_keeps_the_products_that_both_tables_have() {
        let mapping = table(&["standard", "xl", "pool"]).mapping_to(&table(&["pool", "standard"]));
        assert!(!mapping.is_identity());
        assert_eq!([0b001, 0b010, 0b100, 0b111].map(|set| mapping.map(set)), [0b10, 0, 0b01, 0b11]);
        let same = table(&["standard"]).mapping_to(&table(&["standard"]));
        assert!(same.is_identity());
        assert_eq!(same.map(1), 1);
    }
}
